//! What each route asks for.

use alluvium_core::Role;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the route shows nobody's data, or finds out by itself who calls.
    Open,
    /// This role.
    Needs(Role),
    /// There is no such route, so nobody may call it.
    NoSuchRoute,
}

impl Access {
    /// What the route of this method and path asks for. A path may be that of a request (`/v1/telemetry`) or of a route
    /// (`/v1/{dataset}`): their segments decide.
    pub fn of(method: &str, path: &str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::NoSuchRoute };
        let segments: Vec<_> = path.split('/').collect();
        // RFC 9110, section 9.3.2: a HEAD is a GET whose answer has no body.
        let method = if method == "HEAD" { "GET" } else { method };
        match (method, segments.as_slice()) {
            // The console, and the Kinesis API, whose calls are signed.
            ("GET" | "POST", [""]) => Self::Open,
            (_, [.., ""]) => Self::NoSuchRoute,
            ("GET", ["health" | "metrics" | "openapi.json"] | ["console", _]) => Self::Open,
            ("GET" | "POST", ["admin", ..]) => Self::Needs(Role::Admin),
            // Each sees their own rows; an engine that cannot keep to that refuses.
            ("POST", ["v1", "queries"]) => Self::Needs(Role::Read),
            ("GET" | "DELETE", ["v1", "queries", _])
            | ("GET", ["v1", "queries", _, "results" | "results.csv" | "results.parquet"]) => Self::Needs(Role::Read),
            // Who sends files looks after them; each sees their own.
            ("GET" | "POST", ["v1", "uploads"])
            | ("GET" | "DELETE", ["v1", "uploads", _])
            | ("PUT", ["v1", "uploads", _, "content"]) => Self::Needs(Role::Write),
            // What they tell is made of everybody's rows.
            ("GET", ["v1", "reports"] | ["v1", "reports", _] | ["v1", "reports", _, _]) => Self::Needs(Role::Admin),
            (_, ["v1", "queries" | "reports" | "uploads", ..]) => Self::NoSuchRoute,
            ("GET", ["data"] | ["v1", _] | ["v1", _, "live"]) => Self::Needs(Role::Read),
            ("POST", ["data"] | ["v1", _]) => Self::Needs(Role::Write),
            _ => Self::NoSuchRoute,
        }
    }

    /// What the route of this key of API Gateway, such as `GET /v1/{dataset}`, asks for.
    pub fn of_route_key(key: &str) -> Self {
        key.split_once(' ').map_or(Self::NoSuchRoute, |(method, path)| Self::of(method, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_asks_for_its_role_and_no_other_is_open() {
        let expected = [
            ("GET /v1/{dataset}", Some(Role::Read)),
            ("GET /v1/telemetry", Some(Role::Read)),
            ("GET /data", Some(Role::Read)),
            ("POST /v1/{dataset}", Some(Role::Write)),
            ("POST /data", Some(Role::Write)),
            ("HEAD /v1/telemetry", Some(Role::Read)),
            ("POST /v1/queries", Some(Role::Read)),
            ("GET /v1/queries/{id}", Some(Role::Read)),
            ("GET /v1/queries/{id}/results", Some(Role::Read)),
            ("GET /v1/queries/{id}/results.csv", Some(Role::Read)),
            ("HEAD /v1/queries/{id}/results.parquet", Some(Role::Read)),
            ("GET /v1/queries/{id}/results.json", None),
            ("DELETE /v1/queries/{id}", Some(Role::Read)),
            ("POST /v1/uploads", Some(Role::Write)),
            ("GET /v1/uploads", Some(Role::Write)),
            ("GET /v1/uploads/{id}", Some(Role::Write)),
            ("DELETE /v1/uploads/{id}", Some(Role::Write)),
            ("PUT /v1/uploads/{id}/content", Some(Role::Write)),
            ("PUT /v1/uploads", None),
            ("PUT /v1/uploads/{id}", None),
            ("POST /v1/uploads/{id}/content", None),
            ("GET /v1/uploads/{id}/content", None),
            ("PUT /v1/queries/{id}/content", None),
            ("GET /v1/reports", Some(Role::Admin)),
            ("GET /v1/reports/{name}", Some(Role::Admin)),
            ("GET /v1/reports/live", Some(Role::Admin)),
            ("HEAD /v1/reports/{name}/{file}", Some(Role::Admin)),
            ("POST /v1/reports", None),
            ("GET /v1/reports/", None),
            ("GET /v1/reports/a/b/c", None),
            ("DELETE /v1/reports/{name}/{file}", None),
            ("POST /admin/sql", Some(Role::Admin)),
            ("GET /admin/erasures", Some(Role::Admin)),
            ("POST /admin/redrive/failed", Some(Role::Admin)),
            ("GET /v1/queries", None),
            ("POST /v1/queries/{id}", None),
            ("DELETE /v1/queries/{id}/results", None),
            ("DELETE /admin/sql", None),
            ("DELETE /v1/{dataset}", None),
            ("GET /v1/%71ueries/1", None),
            ("GET /v1/telemetry/live", Some(Role::Read)),
            ("POST /v1/telemetry/live", None),
            ("GET /v1/telemetry/alive", None),
            ("GET /v1/queries/live/x", None),
            ("GET /v1/", None),
            ("GET /v1/queries/", None),
            ("GET /v1", None),
            ("GET ", None),
            ("GET //data", None),
            ("GET /data/", None),
            ("get /data", None),
            ("PUT /data", None),
            ("$default", None),
            ("", None),
        ];
        for (key, role) in expected {
            assert_eq!(Access::of_route_key(key), role.map_or(Access::NoSuchRoute, Access::Needs), "{key}");
        }
        for key in ["GET /", "POST /", "GET /health", "HEAD /metrics", "GET /openapi.json", "GET /console/app.js"] {
            assert_eq!(Access::of_route_key(key), Access::Open, "{key}");
        }
    }
}
