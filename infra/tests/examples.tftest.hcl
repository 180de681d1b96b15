# A stage can be made of its settings alone; tests/whole/test_examples.py gives those of the examples.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "a_stage" {
  command = apply

  variables {
    stage          = "example"
    secret_version = 0
  }

  assert {
    condition     = local.prefix == "alluvium-example"
    error_message = "A stage is named after itself."
  }
}
