//! An answer to an instant query: exactly one number, or why not.

use serde::Deserialize;
use serde_json::Value;

use super::{PromValue, Unknown};
use crate::process::{http::Got, log::plain};

/// A value evaluated further from now than this, by our clock, is not of now.
const NOW: u64 = 60_000;
/// How much of a server's own words is shown.
const WORDS: usize = 300;

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(rename = "errorType")]
    kind: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

/// `now`: Unix milliseconds.
pub(super) fn read(from: &str, got: &Got, now: u64) -> Result<PromValue, Unknown> {
    let from = from.to_owned();
    let status = got.status.as_u16();
    let answer = serde_json::from_slice::<Answer>(&got.body);
    if matches!(status, 429 | 503) {
        let after = got.headers.get("retry-after").and_then(|value| value.to_str().ok()).map(words);
        return Err(Unknown::Throttled { from, status, after });
    }
    if !got.status.is_success() {
        let why = match answer {
            Ok(Answer { error: Some(error), kind, .. }) => match kind {
                Some(kind) => format!("{}: {}", words(&kind), words(&error)),
                None => words(&error),
            },
            _ => match got.status.canonical_reason() {
                Some(reason) => format!("{reason}; is this the address of a Prometheus?"),
                None => "is this the address of a Prometheus?".to_owned(),
            },
        };
        return Err(Unknown::Refused { from, status, why });
    }
    let unreadable = |why: String| Unknown::Unreadable { from: from.clone(), why };
    if got.cut {
        return Err(unreadable("it is larger than 1 MiB; aggregate the series".to_owned()));
    }
    let answer = answer.map_err(|error| unreadable(format!("it is not what Prometheus says: {error}")))?;
    if answer.status != "success" {
        let why = answer.error.map_or_else(|| "it names no reason".to_owned(), |error| words(&error));
        return Err(Unknown::Refused { from, status, why });
    }
    if !answer.warnings.is_empty() {
        return Err(Unknown::Doubtful { from, why: words(&answer.warnings.join("; ")) });
    }
    let data = answer.data.ok_or_else(|| unreadable("it has no data".to_owned()))?;
    let sample = match (data.kind.as_str(), data.result) {
        ("scalar", sample) => sample,
        ("vector", Value::Array(mut series)) => match series.len() {
            0 => return Err(Unknown::Empty),
            1 => match series.swap_remove(0) {
                Value::Object(mut one) => one.remove("value").ok_or_else(|| {
                    unreadable("it is a histogram; ask for a quantile or a count of it".to_owned())
                })?,
                _ => return Err(unreadable("a series is no object".to_owned())),
            },
            count => return Err(Unknown::Several { count }),
        },
        ("matrix" | "string", _) => {
            return Err(unreadable(format!("it is a {}; a number is needed", data.kind)));
        }
        (kind, _) => return Err(unreadable(format!("it is a {:?}", words(kind)))),
    };
    let Some([at, value]) = sample.as_array().map(Vec::as_slice) else {
        return Err(unreadable("a sample is not a time and a value".to_owned()));
    };
    let (Some(at), Some(text)) = (at.as_f64(), value.as_str()) else {
        return Err(unreadable("a sample is not a time and a value".to_owned()));
    };
    let value: f64 = text.parse().map_err(|_| unreadable(format!("{:?} is no number", words(text))))?;
    if !value.is_finite() {
        return Err(Unknown::NoNumber { value: words(text) });
    }
    // Negative and impossible times become 0 or the largest, which are not of now.
    let at = (at * 1000.0) as u64;
    if at.abs_diff(now) > NOW {
        return Err(Unknown::Old { seconds: at.abs_diff(now) / 1000, future: at > now });
    }
    Ok(PromValue { value, at })
}

/// A server's own words, fit for a terminal.
fn words(text: &str) -> String {
    plain(&text.lines().collect::<Vec<_>>().join(" ")).chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn reads(status: u16, body: &str) -> Result<PromValue, Unknown> {
        let got = Got {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            cut: false,
        };
        read("prom:9090", &got, NOW)
    }

    fn data(kind: &str, result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
    }

    fn vector(at: &str, value: &str) -> String {
        data("vector", &format!(r#"[{{"metric":{{"a":"b"}},"value":[{at},"{value}"]}}]"#))
    }

    #[test]
    fn one_number_of_now_is_a_value() {
        let value = |value, at| Ok(PromValue { value, at });
        assert_eq!(reads(200, &vector("1700000000.125", "0.25")), value(0.25, 1_700_000_000_125));
        assert_eq!(reads(200, &data("scalar", r#"[1699999990,"-3e2"]"#)), value(-300.0, 1_699_999_990_000));
        let infos = vector("1700000000", "1").replace("\"data\"", "\"infos\":[\"PromQL info\"],\"data\"");
        assert_eq!(reads(200, &infos), value(1.0, NOW));
    }

    #[test]
    fn everything_else_is_unknown() {
        let one = r#"{"metric":{},"value":[1700000000,"1"]}"#;
        for (status, body, why) in [
            (200, data("vector", "[]"), "matches no series"),
            (200, data("vector", &format!("[{one},{one},{one}]")), "matches 3 series"),
            (200, vector("1700000000", "NaN"), "the value is NaN"),
            (200, vector("1700000000", "+Inf"), "the value is +Inf"),
            (200, vector("1700000000", "-Inf"), "the value is -Inf"),
            (200, data("scalar", r#"[1700000000,"NaN"]"#), "the value is NaN"),
            (200, vector("1699999900", "1"), "of 100 s ago"),
            (200, vector("1700000100", "1"), "of 100 s in the future"),
            (200, vector("-5", "1"), "ago"),
            (200, vector("1e300", "1"), "in the future"),
            (200, vector("1700000000", "many"), "\"many\" is no number"),
            (200, data("scalar", "[1700000000]"), "not a time and a value"),
            (200, data("scalar", "[\"x\",\"1\"]"), "not a time and a value"),
            (200, data("vector", "[7]"), "no object"),
            (200, data("vector", r#"[{"metric":{},"histogram":[1700000000,{}]}]"#), "it is a histogram"),
            (200, data("matrix", "[]"), "it is a matrix"),
            (200, data("string", r#"[1700000000,"1"]"#), "it is a string"),
            (200, data("tensor", "[]"), "\"tensor\""),
            (200, r#"{"status":"success"}"#.into(), "no data"),
            (
                200,
                r#"{"status":"error","errorType":"timeout","error":"too slow"}"#.into(),
                "answers 200: too slow",
            ),
            (200, "<html>hello</html>".into(), "not what Prometheus says"),
            (200, String::new(), "not what Prometheus says"),
            (
                200,
                vector("1700000000", "1").replace("\"data\"", "\"warnings\":[\"shard 2 is away\"],\"data\""),
                "warns about the result: shard 2 is away",
            ),
            (
                400,
                r#"{"status":"error","errorType":"bad_data","error":"1:3: parse\nerror"}"#.into(),
                "answers 400: bad_data: 1:3: parse error",
            ),
            (401, String::new(), "answers 401: Unauthorized"),
            (404, "not found".into(), "is this the address of a Prometheus?"),
            (302, vector("1700000000", "1"), "answers 302"),
            (500, vector("1700000000", "1"), "answers 500"),
            (429, vector("1700000000", "1"), "is throttling: it answers 429"),
            (503, vector("1700000000", "1"), "is throttling: it answers 503"),
        ] {
            let unknown = reads(status, &body).unwrap_err().to_string();
            assert!(unknown.contains(why), "{status} {body}: {unknown}");
        }
    }

    #[test]
    fn an_answer_too_large_to_read_is_unknown_and_a_throttle_says_for_how_long() {
        let mut got =
            Got { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new(), cut: true };
        assert!(read("p", &got, NOW).unwrap_err().to_string().contains("larger than 1 MiB"));
        got.status = StatusCode::TOO_MANY_REQUESTS;
        got.headers.insert("retry-after", "30".parse().unwrap());
        let throttled = Unknown::Throttled { from: "p".into(), status: 429, after: Some("30".into()) };
        assert_eq!(read("p", &got, NOW), Err(throttled.clone()));
        assert!(throttled.to_string().ends_with("answers 429, and asks to wait for 30 s"), "{throttled}");
    }
}
