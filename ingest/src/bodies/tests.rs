use super::*;

/// Events of these texts and times; an error at the end if there is one.
struct Listed(Vec<(&'static str, Option<Micros>)>, Option<IngestError>);

impl EventSource for Listed {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        if self.0.is_empty() {
            out.extend_from_slice(b"half an ev");
            return self.1.take().map_or(Ok(None), Err);
        }
        let (text, at) = self.0.remove(0);
        out.extend_from_slice(text.as_bytes());
        Ok(Some(Written { at }))
    }
}

fn untimed(texts: &[&'static str]) -> Listed {
    Listed(texts.iter().map(|text| (*text, None)).collect(), None)
}

fn cut(source: Listed, settings: BodySettings, pace: Pace) -> Vec<(String, u64, u64)> {
    Bodies::of(source, settings, pace)
        .map(|body| {
            let body = body.unwrap();
            (String::from_utf8(body.ndjson.to_vec()).unwrap(), body.events, body.due.as_millis() as u64)
        })
        .collect()
}

#[test]
fn a_body_closes_at_its_most_events() {
    let settings = BodySettings { events: 2, ..BodySettings::default() };
    let bodies = cut(untimed(&["a", "b", "c"]), settings, Pace::Unlimited);
    assert_eq!(bodies, [("a\nb\n".into(), 2, 0), ("c\n".into(), 1, 0)]);
}

#[test]
fn a_body_closes_before_the_event_that_takes_it_past_its_bytes() {
    let settings = BodySettings { bytes: 6, ..BodySettings::default() };
    let bodies = cut(untimed(&["aa", "bb", "cc", "a long one", "d"]), settings, Pace::Unlimited);
    let texts: Vec<_> = bodies.iter().map(|body| body.0.as_str()).collect();
    assert_eq!(texts, ["aa\nbb\n", "cc\n", "a long one\n", "d\n"]);
}

#[test]
fn paced_events_share_a_body_within_the_linger_and_are_sent_when_the_last_is_due() {
    let second = 1_000_000;
    let at = |millis: i64| Some(7 * second + millis * 1_000);
    let events =
        vec![("a", at(0)), ("b", at(150)), ("c", at(250)), ("late", at(-900)), ("none", None), ("d", at(9_000))];
    // Twice as fast: 100 ms of linger are 200 ms of event time.
    let bodies = cut(Listed(events, None), BodySettings::default(), Pace::Speed(2.0));
    assert_eq!(bodies, [("a\nb\n".into(), 2, 75), ("c\nlate\nnone\n".into(), 3, 125), ("d\n".into(), 1, 4_500)]);
}

#[test]
fn an_error_comes_after_the_events_before_it_and_ends_the_bodies() {
    let failing = Listed(vec![("a", None)], Some(IngestError::setting("x", "wrong")));
    let mut bodies = Bodies::of(failing, BodySettings::default(), Pace::Unlimited);
    assert_eq!(bodies.next().unwrap().unwrap().ndjson, "a\n");
    assert!(bodies.next().unwrap().is_err());
    assert!(bodies.next().is_none());
}
