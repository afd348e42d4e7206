//! Compares a TOML document with the schema: unknown keys, missing keys, wrong types. All of them, not only the first.
//!
//! What does not fit is noted and cut out, so that the rest can still be read and checked for meaning. Serde alone would
//! stop at the first error.

use std::ops::Range;

use serde_json::Value as Schema;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::place::Trouble;

/// Compares and cuts; `span` is where the whole document stands.
pub(super) fn check(root: &Schema, table: &mut DeTable<'_>, trouble: &mut Trouble<'_>) {
    Shape { root, trouble }.table(root, table, 0..0, "");
}

struct Shape<'s, 't, 'a> {
    root: &'s Schema,
    trouble: &'t mut Trouble<'a>,
}

impl<'s> Shape<'s, '_, '_> {
    /// `name` is how a person calls the table: `[site]`, or nothing for the top level.
    fn table(&mut self, schema: &'s Schema, table: &mut DeTable<'_>, span: Range<usize>, name: &str) {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        for required in schema.get("required").and_then(Schema::as_array).into_iter().flatten() {
            let Some(required) = required.as_str() else { continue };
            if !table.contains_key(required) {
                let place = if name.is_empty() { "at the top".to_owned() } else { format!("in {name}") };
                self.trouble.add("CUT0104", span.clone(), format!("the key `{required}` is missing {place}"));
            }
        }
        let mut kept = DeTable::new();
        for (key, mut value) in std::mem::take(table) {
            let property = properties.and_then(|properties| properties.get(key.get_ref().as_ref()));
            let Some(property) = property.or(others) else {
                self.unknown(schema, &key, name);
                self.trouble.note_cut(&span);
                continue;
            };
            let path = if name.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{}.{}", name.trim_matches(['[', ']']), key.get_ref())
            };
            if self.value(property, &mut value, key.span(), &path) {
                kept.insert(key, value);
            } else {
                self.trouble.note_cut(&span);
            }
        }
        *table = kept;
    }

    /// Whether the value may stay.
    fn value(
        &mut self,
        schema: &'s Schema,
        value: &mut Spanned<DeValue<'_>>,
        key: Range<usize>,
        path: &str,
    ) -> bool {
        let schema = self.resolve(schema);
        let span = value.span();
        if let Some(choices) = schema.get("oneOf").and_then(Schema::as_array) {
            let words: Vec<_> =
                choices.iter().filter_map(|choice| choice.get("const").and_then(Schema::as_str)).collect();
            return self.choice(&words, value, path);
        }
        let wanted = schema.get("type").and_then(Schema::as_str).unwrap_or_default();
        match (wanted, value.get_mut()) {
            ("string", DeValue::String(_)) | ("boolean", DeValue::Boolean(_)) => true,
            ("number", DeValue::Float(_) | DeValue::Integer(_)) => true,
            ("integer", DeValue::Integer(_)) => self.range(schema, value, path),
            ("array", DeValue::Array(items)) => {
                let item_schema = schema.get("items").unwrap_or(&Schema::Null);
                let of_tables = self.resolve(item_schema).get("properties").is_some();
                let mut kept = toml::de::DeArray::new();
                for (index, mut item) in
                    std::mem::replace(items, toml::de::DeArray::new()).into_iter().enumerate()
                {
                    let item_key = item.span();
                    let item_path = if of_tables { format!("[{path}]") } else { format!("{path}[{index}]") };
                    if self.value(item_schema, &mut item, item_key, &item_path) {
                        kept.push(item);
                    }
                }
                *items = kept;
                true
            }
            ("object", DeValue::Table(inner)) => {
                let at = if span.is_empty() { key } else { span };
                let name = format!("[{path}]");
                self.table(schema, inner, at, &name);
                true
            }
            (_, found) => {
                let found = found.type_str();
                let message = format!("`{path}` is {}, found {}", described(wanted), described(found));
                match (wanted, value.get_ref()) {
                    ("array", DeValue::Table(_)) => self.trouble.add_hint(
                        "CUT0103",
                        key,
                        message,
                        format!("write `[[{path}]]`, with two brackets: there may be several"),
                    ),
                    ("object", DeValue::Array(_)) => self.trouble.add_hint(
                        "CUT0103",
                        key,
                        message,
                        format!("write `[{path}]`, with one pair of brackets: there is only one"),
                    ),
                    ("array", DeValue::String(text)) => {
                        self.trouble.add_hint("CUT0103", span, message, format!("write `[{text:?}]`"));
                    }
                    ("string", DeValue::Integer(number)) => {
                        self.trouble.add_hint("CUT0103", span, message, format!("write `\"{number}\"`"));
                    }
                    _ => self.trouble.add("CUT0103", span, message),
                }
                false
            }
        }
    }

    fn choice(&mut self, words: &[&str], value: &Spanned<DeValue<'_>>, path: &str) -> bool {
        let all = quoted(words);
        let Some(text) = value.get_ref().as_str() else {
            let found = described(value.get_ref().type_str());
            self.trouble.add("CUT0103", value.span(), format!("`{path}` is one of {all}, found {found}"));
            return false;
        };
        if words.contains(&text) {
            return true;
        }
        let message = format!("`{path}` cannot be {text:?}");
        let hint = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean {word:?}?"),
            None => format!("it is one of {all}"),
        };
        self.trouble.add_hint("CUT0105", value.span(), message, hint);
        false
    }

    fn range(&mut self, schema: &Schema, value: &Spanned<DeValue<'_>>, path: &str) -> bool {
        let Some(integer) = value.get_ref().as_integer() else { return false };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let lowest = schema.get("minimum").and_then(Schema::as_i64).unwrap_or(i64::MIN);
        let highest = schema.get("maximum").and_then(Schema::as_i64).unwrap_or(i64::MAX);
        if number.is_some_and(|number| (lowest..=highest).contains(&number)) {
            return true;
        }
        self.trouble.add(
            "CUT0105",
            value.span(),
            format!("`{path}` is between {lowest} and {highest}, found {integer}"),
        );
        false
    }

    fn unknown(&mut self, schema: &Schema, key: &Spanned<std::borrow::Cow<'_, str>>, name: &str) {
        let text: &str = key.get_ref();
        let place = if name.is_empty() { "at the top".to_owned() } else { format!("in {name}") };
        let message = format!("unknown key `{text}` {place}");
        let known: Vec<&str> = keys(schema).collect();
        let hint = if let Some(word) = nearest(text, known.iter().copied()) {
            format!("did you mean `{word}`?")
        } else if let Some(home) = self.home(text) {
            home
        } else {
            format!("the keys {place} are {}", known.join(", "))
        };
        self.trouble.add_hint("CUT0102", key.span(), message, hint);
    }

    /// Where a key that is unknown here would be known: in TOML a key belongs to the table header above it.
    fn home(&self, key: &str) -> Option<String> {
        if keys(self.root).any(|known| known == key) {
            return Some(format!("`{key}` belongs at the top, before the first [table]"));
        }
        let properties = self.root.get("properties")?.as_object()?;
        properties.iter().find_map(|(table, schema)| {
            let schema = self.resolve(schema);
            let (schema, name) = match schema.get("items") {
                Some(items) => (self.resolve(items), format!("[[{table}]]")),
                None => (schema, format!("[{table}]")),
            };
            keys(schema).any(|known| known == key).then(|| format!("`{key}` belongs in {name}"))
        })
    }

    fn resolve<'x>(&self, schema: &'x Schema) -> &'x Schema
    where
        's: 'x,
    {
        schema
            .get("$ref")
            .and_then(Schema::as_str)
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?))
            .unwrap_or(schema)
    }
}

fn keys(schema: &Schema) -> impl Iterator<Item = &str> {
    schema
        .get("properties")
        .and_then(Schema::as_object)
        .into_iter()
        .flat_map(|all| all.keys().map(String::as_str))
}

/// The known word a person most likely meant.
pub(super) fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let folded = text.to_lowercase().replace('-', "_");
    words
        .map(|word| (strsim::damerau_levenshtein(&folded, &word.replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= 1 + word.len().min(text.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn described(kind: &str) -> &str {
    match kind {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "float" => "a number with a fraction",
        "boolean" => "true or false",
        "datetime" => "a date",
        "array" => "a list",
        "table" | "object" => "a table",
        other => other,
    }
}
