//! The published schema of `plan.json`, and plans held to it.

use serde_json::Value;

use crate::plan::Plan;
use crate::planning::plan;
use crate::route::RouteChoice;
use crate::testing::{inventory, options, plan_by};

/// What of JSON Schema the published file uses.
fn errors(schema: &Value, root: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().expect("a reference has a name");
        return errors(&root["$defs"][name], root, value, place, found);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &Value| {
            let mut inner = Vec::new();
            errors(choice, root, value, place, &mut inner);
            inner.is_empty()
        };
        if !choices.iter().any(fits) {
            found.push(format!("{place}: {value} is none of the choices"));
        }
        return;
    }
    if let Some(words) = schema["enum"].as_array() {
        if !words.contains(value) {
            found.push(format!("{place}: {value} is not one of {words:?}"));
        }
        return;
    }
    let fits = match schema["type"].as_str().expect("a schema says its type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the schema has a type {other}"),
    };
    let small = schema["minimum"].as_i64().is_some_and(|least| value.as_i64() < Some(least));
    if !fits || (small && value.as_u64().is_none()) {
        found.push(format!("{place}: {value} is not of the type"));
    }
    for (at, one) in value.as_array().into_iter().flatten().enumerate() {
        errors(&schema["items"], root, one, &format!("{place}[{at}]"), found);
    }
    members(schema, root, value, place, found);
}

fn members(schema: &Value, root: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(own) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("names are texts");
        if !own.contains_key(name) {
            found.push(format!("{place}: {name} is missing"));
        }
    }
    for (name, one) in own {
        match schema["properties"].get(name) {
            Some(inner) => errors(inner, root, one, &format!("{place}.{name}"), found),
            None if schema["additionalProperties"].is_object() => {
                let place = format!("{place}.{name}");
                errors(&schema["additionalProperties"], root, one, &place, found);
            }
            None if schema["additionalProperties"] == false => {
                found.push(format!("{place}.{name} is not in the schema"));
            }
            None => {}
        }
    }
}

fn schema() -> Value {
    let text = include_str!("../../../../docs/format/plan.schema.json");
    serde_json::from_str(text).expect("the schema is JSON")
}

#[track_caller]
fn check(plan: &Plan) {
    let value: Value = serde_json::from_str(&plan.to_json()).expect("a plan is JSON");
    let (schema, mut found) = (schema(), Vec::new());
    errors(&schema, &schema, &value, "plan", &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn plans_of_both_routes_and_with_waves_are_as_the_schema_says() {
    check(&plan_by(RouteChoice::MoveUsers));
    check(&plan_by(RouteChoice::DisasterRecovery));
    let mut site = inventory();
    site.kind = rehome_site::SiteKind::Exchange55;
    site.waves.mailboxes_max = Some(2);
    site.rates.doubts.push("measured long ago".to_owned());
    site.rates.costs = Some(crate::Costs {
        steps: [("M1".to_owned(), crate::Cost::default())].into(),
        ..crate::Costs::default()
    });
    site.mailboxes[0].share = Some(crate::Share { group: "all".to_owned(), bytes: 5 });
    check(&plan(&site, &options(RouteChoice::MoveUsers)).expect("feasible"));
}

#[test]
fn the_schema_refuses_what_is_no_plan() {
    let plan = plan_by(RouteChoice::MoveUsers);
    let good: Value = serde_json::from_str(&plan.to_json()).expect("a plan is JSON");
    let schema = schema();
    let refused = |break_it: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        break_it(&mut value);
        let mut found = Vec::new();
        errors(&schema, &schema, &value, "plan", &mut found);
        assert!(!found.is_empty());
    };
    refused(&|plan| plan["route"] = "sideways".into());
    refused(&|plan| plan["made_us"] = "now".into());
    refused(&|plan| plan["steps"][0]["undo"]["way"] = "somehow".into());
    refused(&|plan| plan["forecast"]["runs"] = (-1).into());
    refused(&|plan| drop(plan.as_object_mut().expect("an object").remove("steps")));
    refused(&|plan| drop(plan.as_object_mut().expect("an object").insert("more".into(), 1.into())));
}
