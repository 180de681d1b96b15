"""The checklist of docs/aws-checklist.md as steps that run: see run.py."""
