//! Text in columns.

/// Rows of cells, the first row being the heading; every column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this heading.
    pub(super) fn new(heading: &[&str]) -> Table {
        Table {
            rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines. Cells that are numbers stand on the right of their column, and their heading with them.
    pub(super) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let width = |column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let numeric = |column| cells(column).skip(1).all(|cell| cell.parse::<i128>().is_ok());
        let right: Vec<bool> = (0..columns).map(numeric).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = widths[column];
                if right[column] {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            cells.collect::<Vec<String>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_on_the_right_and_text_on_the_left() {
        let mut table = Table::new(&["ACCOUNT", "BALANCE"]);
        table.row(vec!["N1/A".to_owned(), "1000".to_owned()]);
        table.row(vec!["N1/savings".to_owned(), "-5".to_owned()]);
        assert_eq!(
            table.lines(),
            [
                "ACCOUNT     BALANCE",
                "N1/A           1000",
                "N1/savings       -5",
            ]
        );
    }
}
