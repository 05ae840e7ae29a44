"""Why a request may be refused that the OpenAPI documents allow: what they cannot say. Each reason is the beginning of the
problem's `detail`, as a regular expression, so that every other refusal of the same call is still a fault."""

import re

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

# For JSON Schema `1.0` is an integer; here it is not.
DECIMAL = r"(\S+: )?invalid type: floating point `\d+\.0`, expected u64"

REASONS = {
    # Which profiles there are, and what each of them allows, is the configuration's.
    # The id of a session that was deleted is not given out again.
    "POST /v1/sessions": ["there is no agent profile", "cwd:", "env:", "the session was deleted;", DECIMAL],
    "POST /v1/sessions/{id}/messages": [DECIMAL],
    "POST /v1/sessions/{id}/stop": [DECIMAL],
    # A cursor must be one that we gave.
    "GET /v1/sessions": ["cursor:"],
    "GET /admin/sessions": ["cursor:"],
    "GET /v1/admin/sessions": ["cursor:"],
    # Two parameters that exclude each other.
    "GET /v1/sessions/{id}/events": ["before: must not stand beside `after`"],
    # The grammar of filters is no regular one.
    "PUT /admin/log": ["filter:"],
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if not isinstance(failure, RejectedPositiveData):
        return True
    detail = response.json().get("detail", "")
    return not any(re.match(reason, detail) for reason in REASONS.get(case.operation.label, []))
