#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

const HEAD: &str = "-- title: T\n-- window: 1h\n";
const BODY: &str = "select 1 where event_time >= $from and event_time < $to\n";

fn parse(text: &str) -> Result<Report, ReportError> {
    Report::parse(ReportName::new("r").unwrap(), text)
}

fn windows(length: &str) -> Windows {
    Windows::every(crate::duration::parse(length).unwrap()).unwrap()
}

#[test]
fn a_file_declares_a_report() {
    let text = "-- Whoever reads this.\n\n-- title: Events: by day\n--window:1d\n  -- delay: 90m\n-- and so on: it goes\n\
                with t as (select '$from ?; -- ''' as \"$x\" /* $to ; ? */ -- ; ?\n) select * from t where a>=$from and (b<$to);\n-- end\n";
    let report = parse(text).unwrap();
    assert_eq!((report.title.as_str(), report.delay), ("Events: by day", Duration::from_secs(5400)));
    assert_eq!(report.windows.length(), Duration::from_secs(86_400));
    let statement = report.statement(report.windows.at(DAY));
    assert!(statement.contains("select '$from ?; -- ''' as \"$x\" /* $to ; ? */ -- ; ?\n)"), "{statement}");
    assert!(
        statement.ends_with(
            "where a>=cast('1970-01-02 00:00:00.000000 UTC' as timestamp(6) with time zone) \
             and (b<cast('1970-01-03 00:00:00.000000 UTC' as timestamp(6) with time zone))"
        ),
        "{statement}"
    );
    assert_eq!(parse(&format!("{HEAD}{BODY}")).unwrap().delay, DELAY);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let after_head = |statement: &str| format!("{HEAD}{statement}");
    let long_title = format!("-- title: {}\n-- window: 1h\n{BODY}", "t".repeat(121));
    for (text, said) in [
        (String::new(), "line 1: `title` is not declared; begin with a line such as `-- title: Events by hour`"),
        (format!("-- title: T\n{BODY}"), "line 1: `window` is not declared; begin with a line such as `-- window: 1h`"),
        (long_title, "line 1: `title`: expected 1 to 120 characters"),
        (format!("-- title:\n-- window: 1h\n{BODY}"), "line 1: `title`: expected 1 to 120 characters"),
        (
            format!("-- title: T\n-- window: 7h\n{BODY}"),
            "line 2: `window`: windows of 7h do not fill a day; expected whole minutes that do \
             (1m, 5m, 10m, 15m, 30m, 1h, 6h, 1d, …), or up to 366 whole days",
        ),
        (
            format!("-- title: T\n-- window: hourly\n{BODY}"),
            "line 2: `window`: `hourly` is no duration: expected a whole number and a unit (ms, s, m, h, d), such as `250ms` or `24h`",
        ),
        (format!("{HEAD}-- delay: 32d\n{BODY}"), "line 3: `delay`: 32d is longer than the 31d allowed"),
        (
            format!("{HEAD}-- delays: 1m\n{BODY}"),
            "line 3: a report declares no `delays`; known: title, window, delay. A comment has no colon behind its first word",
        ),
        (format!("{HEAD}\n-- title: U\n{BODY}"), "line 4: `title` is declared a second time; line 1 has it too"),
        (after_head("\n-- nothing\n"), "line 4: there is no statement"),
        (
            after_head("delete from telemetry where event_time < $to"),
            "line 3: a report reads: it begins with select, with, values, not with `delete`",
        ),
        (
            after_head("select 1 where t >= $from\n"),
            "line 3: the statement never names `$to`, so it would not be of a window; \
             narrow it down, such as `where event_time >= $from and event_time < $to`",
        ),
        (
            after_head("select 1\nwhere t = $until"),
            "line 4: there is no `$until`; a window's times are `$from` and `$to`",
        ),
        (after_head("select\n\n?"), "line 5: there is no value for `?`; a window's times are `$from` and `$to`"),
        (after_head("select $from, $to; select 2"), "line 3: there is more behind the `;`; a report is one statement"),
        (after_head("select 'a\n, $from, $to"), "line 3: what is quoted here ends nowhere"),
        (after_head("select $from, $to\n/* and"), "line 4: a comment begins with `/*` and ends nowhere"),
    ] {
        assert_eq!(parse(&text).unwrap_err().to_string(), said, "{text}");
    }
    let long = format!("{HEAD}{BODY}-- {}", "x".repeat(64 * 1024));
    assert!(parse(&long).unwrap_err().to_string().contains("more than the 65536 allowed"));
}

#[test]
fn a_name_is_held_to_what_files_and_routes_take() {
    for good in ["a", "events_per_hour", "r2"] {
        assert_eq!(ReportName::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "2r", "_r", "a-b", "a.b", "../a", "é", &"a".repeat(65)] {
        assert!(ReportName::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn weeks_begin_on_mondays_and_days_at_midnight() {
    let noon = "2026-11-28T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
    let id = |length: &str| windows(length).at(noon).id().to_string();
    assert_eq!(id("7d"), "20261123T0000Z");
    assert_eq!(id("1d"), "20261128T0000Z");
    assert_eq!(id("8h"), "20261128T0800Z");
    assert_eq!(id("1m"), "20261128T1200Z");
    for length in ["0s", "30s", "90s", "7m", "5h", "25h", "36h", "367d"] {
        assert!(Windows::every(crate::duration::parse(length).unwrap()).is_err(), "{length}");
    }
}

#[test]
fn a_window_is_named_by_its_start() {
    let expected = WindowId("2026-11-28T10:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond());
    for text in ["20261128T1000Z", "2026-11-28T10:00:00Z", "2026-11-28T11:00:00+01:00", "2026-11-28T10:00Z"] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    assert_eq!(expected.to_string(), "20261128T1000Z");
    for text in ["", "20261128T1000", "2026-11-28", "20261128T2500Z", "2026-11-28T10:00:30Z", "20261128t1000z", "now"] {
        assert!(text.parse::<WindowId>().is_err(), "{text}");
    }
    assert_eq!(windows("1h").starting(expected), Some(Window { start: expected.0, end: expected.0 + HOUR }));
    assert_eq!(windows("1d").starting(expected), None);
}

#[test]
fn a_window_is_due_when_its_delay_has_passed() {
    let report = parse(&format!("-- delay: 10m\n{HEAD}{BODY}")).unwrap();
    let ten = 10 * 60_000_000;
    let first = report.windows.at(0);
    assert_eq!(report.due(first), HOUR + ten);
    assert_eq!(report.newest_due(HOUR + ten), first);
    assert_eq!(report.newest_due(HOUR + ten - 1), report.windows.before(first));
}

proptest! {
    /// Windows follow each other without a gap, each time lies in one of them, and an id leads back to its window.
    #[test]
    fn windows_are_end_to_end(
        length in prop::sample::select(vec!["1m", "5m", "15m", "45m", "1h", "8h", "12h", "1d", "2d", "7d", "30d", "366d"]),
        time in -DAY * 300_000..DAY * 1_000_000,
    ) {
        let windows = windows(length);
        let window = windows.at(time);
        prop_assert!(window.start <= time && time < window.end);
        prop_assert_eq!(window.end - window.start, i64::try_from(windows.length().as_micros()).unwrap());
        prop_assert_eq!(windows.at(window.end - 1), window);
        prop_assert_eq!(windows.before(window).end, window.start);
        prop_assert_eq!(windows.after(window).start, window.end);
        prop_assert_eq!(windows.after(windows.before(window)), window);
        prop_assert_eq!(window.start % 60_000_000, 0);
        if window.start >= 0 {
            let id: WindowId = window.id().to_string().parse().unwrap();
            prop_assert_eq!(windows.starting(id), Some(window));
        }
    }

    /// No text makes the reader panic, and what is read holds one time for each place.
    #[test]
    fn any_statement_is_read_or_refused(text in "[a-z $'\"`;?()/*\n-]{0,40}(\\$from|\\$to|select| ){0,4}") {
        if let Ok(template) = Template::parse(&text) {
            let written = template.of(Window { start: 0, end: HOUR });
            prop_assert!(written.contains("1970-01-01 00:00:00") && written.contains("1970-01-01 01:00:00"));
        }
    }
}
