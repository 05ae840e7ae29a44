//! What the derivation of the documents cannot tell of how bodies are read. How they are read is `http::body`'s and
//! `wire`'s.

use utoipa::{
    Modify,
    openapi::{
        Content, OpenApi, RefOr, Required,
        path::{Operation, PathItem},
        schema::{AdditionalProperties, Schema},
    },
};

/// Bodies with variants, which refuse what is not theirs as all others do.
const VARIED: [&str; 4] = ["SendMessage", "ContentBlock", "AnswerPermission", "AnswerQuestion"];

/// Bodies that may be absent ([`crate::http::body::Body::json_or_default`]).
const OPTIONAL: [&str; 2] = ["Empty", "StopSession"];

pub(super) struct Bodies;

impl Modify for Bodies {
    fn modify(&self, document: &mut OpenApi) {
        for (name, schema) in document.components.iter_mut().flat_map(|all| &mut all.schemas) {
            if VARIED.contains(&name.as_str()) {
                refuse_unknown_fields(schema);
            }
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            allow_absence(operation);
        }
    }
}

fn refuse_unknown_fields(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(variants)) = schema else { return };
    for variant in &mut variants.items {
        if let RefOr::T(Schema::Object(object)) = variant {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
        .into_iter()
        .flatten()
}

fn allow_absence(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let is_optional = body.content.values().any(|content| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
            let name = schema.ref_location.rsplit('/').next();
            name.is_some_and(|name| OPTIONAL.contains(&name))
        }
        _ => false,
    });
    if is_optional {
        body.required = Some(Required::False);
    }
}
