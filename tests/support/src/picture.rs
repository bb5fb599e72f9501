//! Pictures of measurements over time: panels on one sheet, as SVG.
//!
//! The sheet is white and not transparent, so that it can be read on a dark page too.

mod plot;
mod table;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, FontStyle, IntoFont, RGBColor, TextStyle, WHITE};

pub use plot::{Plot, Series, Shape};
pub use table::Table;

/// Colours that the colour-blind can distinguish (Okabe and Ito, <https://jfly.uni-koeln.de/color/>).
pub mod colour {
    use plotters::style::RGBColor;

    /// For what is new.
    pub const BLUE: RGBColor = RGBColor(0, 114, 178);
    /// For what is old.
    pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
    /// For what is wrong.
    pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
    /// For any number of things, in turn.
    pub const IN_TURN: [RGBColor; 7] = [
        BLUE,
        ORANGE,
        RGBColor(0, 158, 115),
        RGBColor(204, 121, 167),
        RGBColor(86, 180, 233),
        VERMILION,
        RGBColor(110, 110, 110),
    ];
}

const TITLE: i32 = 22;
const WORDS: i32 = 17;
const FIGURE: i32 = 34;
const GREY: RGBColor = RGBColor(85, 85, 85);

/// The height of a line of text.
const LINE: i32 = 22;

/// What is drawn on.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where on the sheet a panel is, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From the left edge.
    pub left: u32,
    /// From the upper edge.
    pub top: u32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// Something shown, with its captions.
pub struct Panel {
    /// Where it is.
    pub place: Place,
    /// Its heading; empty for none.
    pub title: String,
    /// A sentence below that; empty for none.
    pub note: String,
    /// What it shows.
    pub body: Body,
}

/// What a panel shows.
pub enum Body {
    /// Values over time.
    Plot(Plot),
    /// One value, in large letters.
    Figure(String),
    /// Rows of words.
    Table(Table),
}

/// Draws the panels on a sheet of that size.
pub fn svg(width: u32, height: u32, panels: &[Panel]) -> Result<String> {
    let mut text = String::new();
    let sheet = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
    sheet.fill(&WHITE)?;
    for panel in panels {
        panel.draw(&sheet)?;
    }
    sheet.present()?;
    drop(sheet);
    Ok(text)
}

impl Panel {
    fn draw(&self, sheet: &Area<'_>) -> Result<()> {
        let Place {
            left,
            top,
            width,
            height,
        } = self.place;
        let area = sheet.clone().shrink((left, top), (width, height));
        let mut below = 0;
        if !self.title.is_empty() {
            let bold = ("sans-serif", TITLE).into_font().style(FontStyle::Bold);
            area.draw_text(&self.title, &bold.color(&BLACK), (0, below))?;
            below += LINE + 6;
        }
        if !self.note.is_empty() {
            area.draw_text(&self.note, &words(), (0, below))?;
            below += LINE;
        }
        let rest = area.margin(below, 0, 0, 0);
        match &self.body {
            Body::Plot(plot) => plot.draw(&rest),
            Body::Figure(figure) => {
                let large = ("sans-serif", FIGURE).into_font().color(&BLACK);
                Ok(rest.draw_text(figure, &large, (0, 0))?)
            }
            Body::Table(table) => table.draw(&rest),
        }
    }
}

fn words() -> TextStyle<'static> {
    ("sans-serif", WORDS)
        .into_font()
        .color(&GREY)
        .pos(Pos::new(HPos::Left, VPos::Top))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(shape: Shape, series: Vec<Series>) -> Panel {
        Panel {
            place: Place {
                left: 10,
                top: 10,
                width: 380,
                height: 280,
            },
            title: "A title".into(),
            note: "A note".into(),
            body: Body::Plot(Plot {
                shape,
                series,
                seconds: 10.0,
                ceiling: 100.0,
                label: Box::new(|value| format!("{value} %")),
            }),
        }
    }

    fn series(name: &str, values: &[(f64, f64)]) -> Series {
        Series {
            name: name.into(),
            colour: colour::BLUE,
            points: values.to_vec(),
        }
    }

    #[test]
    fn a_panel_says_its_title_and_names_its_series() -> Result<()> {
        let two = vec![series("old", &[(0.0, 4.0)]), series("new", &[(0.0, 0.0)])];
        let drawn = svg(400, 300, &[panel(Shape::Areas, two)])?;
        for word in ["A title", "A note", "old", "new"] {
            assert!(drawn.contains(word), "{word}");
        }
        Ok(())
    }

    #[test]
    fn a_series_without_points_draws_an_empty_plot() -> Result<()> {
        for shape in [Shape::Areas, Shape::Line] {
            let drawn = svg(400, 300, &[panel(shape, vec![series("none", &[])])])?;
            assert!(drawn.ends_with("</svg>\n"), "{drawn}");
        }
        Ok(())
    }

    #[test]
    fn figures_and_tables_say_what_they_are_given() -> Result<()> {
        let cells = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        let table = Table {
            header: cells(["release", "state"]),
            rows: vec![cells(["v1-4-2", "draining"])],
        };
        for body in [Body::Table(table), Body::Figure("draining".into())] {
            let mut panel = panel(Shape::Line, Vec::new());
            panel.body = body;
            let drawn = svg(400, 300, &[panel])?;
            assert!(drawn.contains("\ndraining\n"), "{drawn}");
        }
        Ok(())
    }

    #[test]
    fn the_background_is_white_on_a_dark_page_too() -> Result<()> {
        let drawn = svg(400, 300, &[])?;
        let ground = r##"width="400" height="300" opacity="1" fill="#FFFFFF""##;
        assert!(drawn.contains(ground), "{drawn}");
        Ok(())
    }
}
