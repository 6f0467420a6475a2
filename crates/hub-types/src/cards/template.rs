//! Cards made of templates: the small part of Jinja that cards use.

use super::{CardMap, CardValue, write};
use crate::ValidationError;

/// The template of a model's card: `model_id`, `model_summary`, `model_description` and the like are filled in.
pub const MODEL_TEMPLATE: &str = include_str!("model.md");

/// The template of a dataset's card: `pretty_name`, `dataset_summary`, `dataset_description` and the like.
pub const DATASET_TEMPLATE: &str = include_str!("dataset.md");

/// Fills in a template: `{{ name }}` and `{{ name | default("text", true) }}`; with `true` the text also stands for a
/// value that is empty. `{# … #}` is left out, as is one line break at the end.
///
/// Of Jinja that is all: no `{% … %}`, no other filters, no expressions.
///
/// ```
/// use hub_types::cards::{CardMap, render};
///
/// let values = CardMap::from([("name", "Demo")]);
/// let text = render("# {{ name }}\nBy {{ author | default(\"somebody\", true) }}.", &values)?;
/// assert_eq!(text, "# Demo\nBy somebody.");
/// # Ok::<(), hub_types::ValidationError>(())
/// ```
///
/// # Errors
///
/// When the template has what is not understood; the error shows it.
pub fn render(template: &str, values: &CardMap) -> Result<String, ValidationError> {
    let template = template.strip_suffix('\n').unwrap_or(template);
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest
        .find("{{")
        .into_iter()
        .chain(rest.find("{%"))
        .chain(rest.find("{#"))
        .min()
    {
        out.push_str(&rest[..at]);
        let (opener, closer) = match &rest[at..at + 2] {
            "{{" => ("{{", "}}"),
            "{#" => ("{#", "#}"),
            _ => ("{%", "%}"),
        };
        let inner = &rest[at + 2..];
        let Some(end) = inner.find(closer) else {
            return Err(refuse(&rest[at..], "has no end"));
        };
        let place = &rest[at..at + 2 + end + 2];
        match opener {
            "{{" => out.push_str(&expression(&inner[..end], values).map_err(|rule| refuse(place, rule))?),
            "{#" => {}
            _ => return Err(refuse(place, "only '{{ name }}' and its filter 'default' are known")),
        }
        rest = &inner[end + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn refuse(place: &str, rule: &str) -> ValidationError {
    ValidationError::new("template", place, rule)
}

fn expression(text: &str, values: &CardMap) -> Result<String, &'static str> {
    // Marks that trim blanks around it are of no use in a card.
    let (name, filter) = match text.split_once('|') {
        Some((name, filter)) => (name.trim(), Some(filter.trim())),
        None => (text.trim(), None),
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name {
        return Err("a name must stand here");
    }
    let value = values.get(name);
    let shown = value.map_or_else(String::new, show);
    let Some(filter) = filter else { return Ok(shown) };
    let arguments = filter.strip_prefix("default").map(str::trim_start);
    let arguments = arguments.and_then(|rest| rest.strip_prefix('(')?.trim_end().strip_suffix(')'));
    let arguments = arguments.ok_or("no filter is known but 'default(\"text\", true)'")?;
    let (fallback, rest) = quoted(arguments.trim()).ok_or("'default' needs a text in quotes")?;
    let also_empty = match rest.trim() {
        "" => false,
        rest => match rest.strip_prefix(',').map(str::trim) {
            Some("true" | "True") => true,
            Some("false" | "False") => false,
            _ => return Err("behind the text of 'default' only true or false can stand"),
        },
    };
    let absent = match value {
        None => true,
        Some(value) => also_empty && is_empty(value),
    };
    Ok(if absent { fallback } else { shown })
}

/// What Python counts as false.
fn is_empty(value: &CardValue) -> bool {
    match value {
        CardValue::Null => true,
        CardValue::Bool(value) => !value,
        CardValue::Integer(number) => *number == 0,
        CardValue::Float(number) => *number == 0.0,
        CardValue::String(text) | CardValue::Timestamp(text) => text.is_empty(),
        CardValue::List(items) => items.is_empty(),
        CardValue::Map(map) => map.is_empty(),
    }
}

fn show(value: &CardValue) -> String {
    match value {
        CardValue::String(text) => text.clone(),
        value => write::inline(value),
    }
}

/// A text in quotes, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cards::Card;

    #[test]
    fn templates_are_filled_in() {
        let values = CardMap::from([
            ("a", CardValue::from("x")),
            ("empty", "".into()),
            ("n", 3.into()),
            ("l", ["p", "q"].into()),
        ]);
        for (template, expected) in [
            ("{{a}}-{{ n }}-{{ l }}-{{ missing }}", "x-3-[p, q]-"),
            ("{{ empty | default(\"y\") }}{{ empty | default('z', true) }}", "z"),
            ("{{ missing | default(\"a \\\"b\\\"\", true) }}\n", "a \"b\""),
            ("a{# not this #}b { } }}\n\n", "ab { } }}\n"),
        ] {
            assert_eq!(render(template, &values).unwrap(), expected, "{template:?}");
        }
        for bad in [
            "{{ a",
            "{% if a %}",
            "{{ a | upper }}",
            "{{ a.b }}",
            "{{ a | default(x) }}",
        ] {
            assert!(render(bad, &values).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn our_templates_make_cards() {
        let data = CardMap::from([("license", CardValue::from("mit")), ("tags", ["a"].into())]);
        let values = CardMap::from([("model_id", "ada/demo")]);
        for template in [MODEL_TEMPLATE, DATASET_TEMPLATE] {
            let card = Card::from_template(template, &data, &values).unwrap();
            assert_eq!(card.data(), &data);
            assert!(
                card.content().starts_with("---\n") && !card.text().contains("{{"),
                "{card}"
            );
            let empty = Card::from_template(template, &CardMap::new(), &CardMap::new()).unwrap();
            assert!(empty.has_metadata() && empty.data().is_empty());
        }
        assert!(
            Card::from_template(MODEL_TEMPLATE, &data, &values)
                .unwrap()
                .text()
                .contains("ada/demo")
        );
    }
}
