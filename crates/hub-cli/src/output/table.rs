//! Lists: padded columns for people, tabs for assistants, ids for scripts.

use std::collections::HashSet;

use serde_json::Value;

use super::{Row, values};

/// A list's rows, and how they are shown.
pub(crate) struct Table<'a> {
    pub(super) rows: Vec<Row>,
    columns: Option<&'a [&'a str]>,
    id: Option<&'a str>,
    right: &'a [&'a str],
    as_named: bool,
}

impl<'a> Table<'a> {
    /// Shows every column in which something stands.
    pub(crate) fn new(rows: Vec<Row>) -> Self {
        Self {
            rows,
            columns: None,
            id: None,
            right: &[],
            as_named: false,
        }
    }

    /// Shows people only these columns; programs see all.
    pub(crate) fn columns(mut self, columns: &'a [&'a str]) -> Self {
        self.columns = Some(columns);
        self
    }

    /// Leaves the columns' names as they are, which people otherwise see in capitals.
    pub(crate) fn with_names(mut self) -> Self {
        self.as_named = true;
        self
    }

    /// The column that quiet mode prints, by default the first.
    pub(crate) fn id(mut self, column: &'a str) -> Self {
        self.id = Some(column);
        self
    }

    /// Columns of text to align like numbers.
    pub(crate) fn right(mut self, columns: &'a [&'a str]) -> Self {
        self.right = columns;
        self
    }

    fn headers(&self) -> Vec<&str> {
        if let Some(columns) = self.columns {
            return columns.to_vec();
        }
        let used: HashSet<&str> = self
            .rows
            .iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key.as_str())
            .collect();
        self.rows[0]
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| used.contains(key))
            .collect()
    }

    /// Padded columns; whether a cell was shortened to fit the width.
    pub(super) fn human(&self, width: Option<usize>) -> (String, bool) {
        let headers = self.headers();
        let titles: Vec<String> = headers
            .iter()
            .map(|header| {
                if self.as_named {
                    (*header).to_owned()
                } else {
                    title(header)
                }
            })
            .collect();
        let mut cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| headers.iter().map(|header| values::cell(find(row, header))).collect())
            .collect();
        let shortened = width.is_some_and(|width| shorten(&titles, &mut cells, width));
        let widths: Vec<usize> = (0..headers.len())
            .map(|column| {
                let cells = cells.iter().map(|row| length(&row[column]));
                cells.chain([length(&titles[column])]).max().unwrap_or_default()
            })
            .collect();
        let right: Vec<bool> = headers.iter().map(|header| self.is_right(header)).collect();
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let lines = [&titles, &dashes].into_iter().chain(&cells).map(|row| {
            let padded = row.iter().enumerate().map(|(column, cell)| {
                let blank = " ".repeat(widths[column] - length(cell));
                if right[column] {
                    blank + cell
                } else {
                    format!("{cell}{blank}")
                }
            });
            padded.collect::<Vec<_>>().join(" ")
        });
        (lines.collect::<Vec<_>>().join("\n"), shortened)
    }

    fn is_right(&self, header: &str) -> bool {
        self.right.contains(&header)
            || self
                .rows
                .iter()
                .all(|row| matches!(find(row, header), Value::Null | Value::Number(_)))
    }

    /// A header line and a line a row, cells apart by tabs.
    pub(super) fn tabs(&self) -> String {
        let headers = self.headers();
        let mut lines = vec![headers.join("\t")];
        for row in &self.rows {
            let cells = headers.iter().map(|header| values::python(find(row, header)));
            lines.push(cells.collect::<Vec<_>>().join("\t"));
        }
        lines.join("\n")
    }

    /// The id of each row.
    pub(super) fn ids(&self) -> impl Iterator<Item = String> {
        let headers = self.headers();
        let id = self.id.unwrap_or_else(|| headers.first().copied().unwrap_or_default());
        self.rows.iter().map(move |row| values::plain(find(row, id)))
    }
}

fn find<'a>(row: &'a Row, column: &str) -> &'a Value {
    row.iter()
        .find(|(key, _)| key == column)
        .map_or(&Value::Null, |(_, value)| value)
}

/// `lastModified` and `last_modified` as `LAST_MODIFIED`.
fn title(name: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.extend(c.to_uppercase());
        before = c;
    }
    out
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Takes characters from the widest column until all columns fit.
fn shorten(titles: &[String], cells: &mut [Vec<String>], width: usize) -> bool {
    let mut widths: Vec<usize> = (0..titles.len())
        .map(|column| {
            let cells = cells.iter().map(|row| length(&row[column]));
            cells.chain([length(&titles[column])]).max().unwrap_or_default()
        })
        .collect();
    let room = width.saturating_sub(titles.len().saturating_sub(1));
    let least: Vec<usize> = titles.iter().map(|title| length(title).max(4)).collect();
    let mut total: usize = widths.iter().sum();
    if total <= room {
        return false;
    }
    while total > room {
        // The first of the widest, as Python's max finds it.
        let widest = (0..widths.len())
            .filter(|column| widths[*column] > least[*column])
            .rev()
            .max_by_key(|column| widths[*column]);
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
        total -= 1;
    }
    let mut shortened = false;
    for row in cells {
        for (cell, width) in row.iter_mut().zip(&widths) {
            if length(cell) > *width {
                *cell = cell.chars().take(width - 3).chain("...".chars()).collect();
                shortened = true;
            }
        }
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::row;

    fn rows() -> Vec<Row> {
        vec![
            row! { "id": "model/ada/a-rather-long-name", "size": "4.5M", "count": 3, "none": Value::Null, "privateRepo": true },
            row! { "id": "dataset/b", "size": "12.0K", "count": 12, "none": Value::Null, "privateRepo": false },
        ]
    }

    #[test]
    fn people_get_padded_columns() {
        let (text, shortened) = Table::new(rows()).right(&["size"]).human(None);
        assert_eq!(
            text,
            [
                "ID                            SIZE COUNT PRIVATE_REPO",
                "---------------------------- ----- ----- ------------",
                "model/ada/a-rather-long-name  4.5M     3 ✔           ",
                "dataset/b                    12.0K    12             ",
            ]
            .join("\n")
        );
        assert!(!shortened);
    }

    #[test]
    fn the_widest_column_gives_way_to_a_narrow_terminal() {
        let (text, shortened) = Table::new(rows()).columns(&["id", "count"]).human(Some(20));
        assert_eq!(
            text,
            "ID             COUNT\n-------------- -----\nmodel/ada/a...     3\ndataset/b         12"
        );
        assert!(shortened);
    }

    #[test]
    fn assistants_get_tabs_and_scripts_ids() {
        let table = Table::new(rows()).columns(&["id", "privateRepo"]);
        assert_eq!(
            table.tabs(),
            "id\tprivateRepo\nmodel/ada/a-rather-long-name\tTrue\ndataset/b\tFalse"
        );
        assert_eq!(table.id("size").ids().collect::<Vec<_>>(), ["4.5M", "12.0K"]);
    }
}
