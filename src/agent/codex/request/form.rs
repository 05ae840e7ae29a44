//! What an MCP server asks by way of Codex: a form is a question for each of its fields, and what people answer as text gets
//! the type that the field has.

use serde_json::{Map, Number, Value, json};

/// The fields of a form, by name, with the schema of each.
#[derive(Debug)]
pub(super) struct Form(Map<String, Value>);

impl Form {
    /// None: there is nothing to fill in.
    pub(super) fn of(schema: Option<&Value>) -> Option<Self> {
        let fields = schema?.get("properties")?.as_object()?;
        (!fields.is_empty()).then(|| Self(fields.clone()))
    }

    pub(super) fn questions(&self, message: &str) -> Value {
        let question = |(id, schema): (&String, &Value)| {
            let text = |key: &str| schema.get(key).and_then(Value::as_str);
            let title = text("title").or_else(|| text("description")).unwrap_or(id);
            let mut question = json!({ "id": id, "question": format!("{message}\n{title}") });
            if let Some(options) = options(schema) {
                question["options"] = options;
            }
            question["schema"] = schema.clone();
            question
        };
        self.0.iter().map(question).collect()
    }

    /// Fields that nobody filled in are left out: whether they must be there is the server's to say.
    pub(super) fn content(&self, answers: &Value) -> Value {
        let Some(answers) = answers.as_object() else {
            return json!({});
        };
        let filled = answers.iter().filter(|(_, answer)| **answer != "" && !answer.is_null());
        filled
            .map(|(id, answer)| (id.clone(), typed(self.0.get(id), answer)))
            .collect::<Map<_, _>>()
            .into()
    }
}

fn options(schema: &Value) -> Option<Value> {
    let labels = match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => vec!["true".into(), "false".into()],
        _ => schema.get("enum")?.as_array()?.clone(),
    };
    Some(labels.into_iter().map(|label| json!({ "label": label })).collect())
}

/// A text that is none of its type goes as it is, for the server to refuse.
fn typed(schema: Option<&Value>, answer: &Value) -> Value {
    let kind = schema.and_then(|schema| schema.get("type")).and_then(Value::as_str);
    let (Some(kind), Some(text)) = (kind, answer.as_str()) else {
        return answer.clone();
    };
    let typed = match kind {
        "boolean" => text.parse::<bool>().ok().map(Value::from),
        "integer" | "number" => text.trim().parse::<Number>().ok().map(Value::from),
        "array" => Some(json!([text])),
        _ => None,
    };
    typed.unwrap_or_else(|| answer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let schema = json!({"type": "object", "properties": {
            "name": {"type": "string", "title": "Your name"},
            "sure": {"type": "boolean", "description": "Are you sure?"},
            "size": {"enum": ["s", "m"]},
            "count": {"type": "integer"},
        }});
        Form::of(Some(&schema)).unwrap()
    }

    #[test]
    fn each_field_is_a_question_with_what_there_is_to_choose() {
        let questions = form().questions("Sign up");
        let shown: Vec<_> = questions
            .as_array()
            .unwrap()
            .iter()
            .map(|question| (question["question"].as_str().unwrap(), &question["options"]))
            .collect();
        let labels = |labels: [&str; 2]| labels.map(|label| json!({ "label": label }));
        assert_eq!(
            shown,
            [
                ("Sign up\nYour name", &json!(null)),
                ("Sign up\nAre you sure?", &json!(labels(["true", "false"]))),
                ("Sign up\nsize", &json!(labels(["s", "m"]))),
                ("Sign up\ncount", &json!(null)),
            ]
        );
    }

    #[test]
    fn an_answer_has_the_type_of_its_field() {
        for (answers, content) in [
            (
                json!({"name": "7", "sure": "true", "count": " 7 "}),
                json!({"name": "7", "sure": true, "count": 7}),
            ),
            (json!({"sure": false, "count": 7}), json!({"sure": false, "count": 7})),
            (json!({"name": "", "size": null, "count": "many"}), json!({"count": "many"})),
            (json!({"unknown": "x"}), json!({"unknown": "x"})),
            (json!("x"), json!({})),
        ] {
            assert_eq!(form().content(&answers), content, "{answers}");
        }
    }

    #[test]
    fn a_schema_without_fields_is_no_form() {
        for schema in [json!({}), json!({"properties": {}}), json!({"properties": 7}), json!(7)] {
            assert!(Form::of(Some(&schema)).is_none(), "{schema}");
        }
        assert!(Form::of(None).is_none());
    }
}
