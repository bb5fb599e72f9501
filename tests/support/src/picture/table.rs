//! Rows of words.

use anyhow::Result;
use plotters::element::PathElement;
use plotters::style::{BLACK, Color, FontStyle, IntoFont};

use super::{Area, LINE, WORDS, words};

/// Rows of words, in columns of equal width.
#[derive(Debug, Clone)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<String>,
    /// Each as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let (width, _) = area.dim_in_pixel();
        let columns = i32::try_from(self.header.len().max(1))?;
        let column = i32::try_from(width)? / columns;
        let bold = ("sans-serif", WORDS).into_font().style(FontStyle::Bold);
        let plain = words().color(&BLACK);
        let mut top = 0;
        for row in std::iter::once(&self.header).chain(&self.rows) {
            let style = if top == 0 {
                bold.color(&BLACK)
            } else {
                plain.clone()
            };
            for (cell, number) in row.iter().zip(0..) {
                area.draw_text(cell, &style, (number * column, top))?;
            }
            top += LINE + 8;
            let rule = [(0, top - 8), (columns * column, top - 8)];
            area.draw(&PathElement::new(rule, BLACK.mix(0.12)))?;
        }
        Ok(())
    }
}
