"""Why a request may be refused that the OpenAPI documents allow: what they cannot say. Each reason is the beginning of the
problem's `detail`, so that every other refusal of the same call is still a fault."""

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

REASONS = {
    # Which profiles there are, and what each of them allows, is the configuration's.
    "POST /v1/sessions": ["there is no agent profile", "cwd:", "env:"],
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
    return not any(detail.startswith(reason) for reason in REASONS.get(case.operation.label, []))
