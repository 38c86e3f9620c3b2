//! Rows of text with aligned columns.

/// The lines of `rows`, each column as wide as its widest cell; the first row is the heading.
pub(crate) fn lines<const N: usize>(heading: [&str; N], rows: Vec<[String; N]>) -> Vec<String> {
    let mut all = vec![heading.map(str::to_owned)];
    all.extend(rows);
    let mut widths = [0_usize; N];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_blanks() {
        let rows = vec![
            ["1".to_owned(), "prod".to_owned()],
            ["12345".to_owned(), String::new()],
        ];
        assert_eq!(
            lines(["ID", "ENV"], rows),
            ["ID     ENV", "1      prod", "12345"]
        );
    }
}
