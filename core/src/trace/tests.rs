#![allow(clippy::unwrap_used)]

use super::*;

const TEXT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";

#[test]
fn a_trace_is_read_as_it_is_written() {
    let parent: TraceParent = TEXT.parse().unwrap();
    assert_eq!((parent.trace(), parent.span()), (0x5759e988_bd862e3f_e1be46a9_94272793, 0x53995c3f_42cd8ad8));
    assert_eq!(parent.to_string(), TEXT);
    let small = TraceParent::new(1, 2).unwrap();
    assert_eq!(small.to_string().parse(), Ok(small));
    assert_eq!(serde_json::to_string(&small).unwrap(), format!("\"{small}\""));
    assert_eq!(serde_json::from_str::<TraceParent>(&format!("\"{small}\"")).unwrap(), small);
}

#[test]
fn what_is_no_sampled_trace_is_none() {
    for text in [
        "",
        "5759e988bd862e3fe1be46a994272793",
        "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00",
        "01-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01 ",
        "00-5759E988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "00-+759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "00-5759e988bd862e3fe1be46a994272793-5399+c3f42cd8ad8-01",
        "00-5759e988bd862e3fe1be46a9942727930-3995c3f42cd8ad8-01",
        "00-00000000000000000000000000000000-53995c3f42cd8ad8-01",
        "00-5759e988bd862e3fe1be46a994272793-0000000000000000-01",
    ] {
        assert_eq!(text.parse::<TraceParent>(), Err(TraceParentError), "{text}");
    }
    assert!(serde_json::from_str::<TraceParent>("\"x\"").is_err());
}
