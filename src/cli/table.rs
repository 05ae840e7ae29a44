//! Tables for people: columns as wide as what stands in them. A program that reads the output gets the rows alone.

use super::output::{Output, clean};
use std::io;
use unicode_width::UnicodeWidthStr;

/// Rows under a header. The last column may be of any length.
pub(super) struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(header: [&'static str; N]) -> Self {
        Self { header, rows: Vec::new() }
    }

    /// What stands in a cell is one line of text that cannot steer the terminal.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell).replace(['\n', '\t'], " ")));
    }

    pub(super) fn print(self, output: &Output) -> io::Result<()> {
        self.lines(output.terminal).iter().try_for_each(|line| output.line(line))
    }

    fn lines(&self, has_header: bool) -> Vec<String> {
        let header = has_header.then(|| self.header.map(str::to_owned));
        let rows: Vec<&[String; N]> = header.iter().chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let line = |row: &[String; N]| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
            }
            line.trim_end().to_owned()
        };
        rows.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["ID", "WHO", "WHAT"]);
        table.row(["1".into(), "日本".into(), "a\nb\u{1b}".into()]);
        table.row(["22".into(), "x".into(), String::new()]);
        assert_eq!(table.lines(true), ["ID  WHO   WHAT", "1   日本  a b␛", "22  x"]);
        assert_eq!(table.lines(false), ["1   日本  a b␛", "22  x"]);
    }
}
