//! One plot: values over seconds.

use anyhow::Result;
use plotters::chart::ChartBuilder;
use plotters::element::Rectangle;
use plotters::series::{AreaSeries, LineSeries};
use plotters::style::{BLACK, Color, IntoFont, RGBColor};

use super::{Area, LINE, WORDS, words};

/// Values over time.
pub struct Plot {
    /// How the values are shown.
    pub shape: Shape,
    /// What is shown.
    pub series: Vec<Series>,
    /// Where the axis of time ends.
    pub seconds: f64,
    /// Where the axis of values ends.
    pub ceiling: f64,
    /// How a value is written.
    pub label: Box<dyn Fn(f64) -> String>,
}

/// The values of one thing.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is called in the legend, which a plot of several has.
    pub name: String,
    /// Its colour.
    pub colour: RGBColor,
    /// Its values by second, in order.
    pub points: Vec<(f64, f64)>,
}

/// How values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line for each series.
    Line,
    /// A stacked area for each. All have their points at the same seconds.
    Areas,
}

impl Plot {
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let below = self.draw_legend(area)?;
        let area = area.margin(below, 0, 0, 0);
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(24)
            .y_label_area_size(64)
            .margin_right(14)
            .margin_top(8)
            .build_cartesian_2d(0.0..self.seconds, 0.0..self.ceiling)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(BLACK.mix(0.0))
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.5))
            .label_style(("sans-serif", WORDS).into_font())
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|second| format!("{second} s"))
            .y_label_formatter(&|value| (self.label)(*value))
            .draw()?;
        for (colour, points) in self.outlines() {
            if self.shape == Shape::Areas {
                let fill = AreaSeries::new(points.clone(), 0.0, colour.filled());
                chart.draw_series(fill)?;
            }
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        }
        Ok(())
    }

    /// Draws the legend if there are several series, each beside a square of its colour; returns its height.
    fn draw_legend(&self, area: &Area<'_>) -> Result<i32> {
        const SQUARE: i32 = 12;
        const GAP: i32 = 7;
        if self.series.len() < 2 {
            return Ok(0);
        }
        let (width, _) = area.dim_in_pixel();
        let (mut left, mut top) = (0, 0);
        for series in &self.series {
            let (words_wide, _) = area.estimate_text_size(&series.name, &words())?;
            let wide = SQUARE + GAP + i32::try_from(words_wide)?;
            if left > 0 && left + wide > i32::try_from(width)? {
                (left, top) = (0, top + LINE);
            }
            let square = [(left, top + 2), (left + SQUARE, top + 2 + SQUARE)];
            area.draw(&Rectangle::new(square, series.colour.filled()))?;
            area.draw_text(&series.name, &words(), (left + SQUARE + GAP, top))?;
            left += wide + 2 * GAP;
        }
        Ok(top + LINE)
    }

    /// The upper edge of each series, the highest first if they are stacked, so that none hides another.
    fn outlines(&self) -> Vec<(RGBColor, Vec<(f64, f64)>)> {
        let alone = self.series.iter().map(|series| series.points.clone());
        let heights: Vec<_> = match self.shape {
            Shape::Line => alone.collect(),
            Shape::Areas => alone.scan(Vec::new(), stack).collect(),
        };
        let colours = self.series.iter().map(|series| series.colour);
        colours.zip(heights).rev().collect()
    }
}

/// Stacks a series on those before it.
fn stack(below: &mut Vec<(f64, f64)>, points: Vec<(f64, f64)>) -> Option<Vec<(f64, f64)>> {
    let heights = below.iter().map(|(_, height)| *height);
    let ground = heights.chain(std::iter::repeat(0.0));
    *below = points
        .into_iter()
        .zip(ground)
        .map(|((second, value), ground)| (second, ground + value))
        .collect();
    Some(below.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::colour::{BLUE, ORANGE};

    #[test]
    fn areas_are_stacked_and_the_highest_is_drawn_first() {
        let series = |colour, points: &[(f64, f64)]| Series {
            name: String::new(),
            colour,
            points: points.to_vec(),
        };
        let plot = Plot {
            shape: Shape::Areas,
            series: vec![
                series(ORANGE, &[(0.0, 4.0), (1.0, 3.0)]),
                series(BLUE, &[(0.0, 0.0), (1.0, 2.0)]),
            ],
            seconds: 1.0,
            ceiling: 5.0,
            label: Box::new(|value| value.to_string()),
        };
        let expected = vec![
            (BLUE, vec![(0.0, 4.0), (1.0, 5.0)]),
            (ORANGE, vec![(0.0, 4.0), (1.0, 3.0)]),
        ];
        assert_eq!(plot.outlines(), expected);
    }
}
