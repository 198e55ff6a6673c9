//! Regions of an image: `RoiAlign` and `NonMaxSuppression`.

use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::op::{Reduction, RoiAlign};
use crate::tensor::Tensor;

/// Most samples of one bin and axis.
const MOST_SAMPLES: f64 = 4096.0;

/// A plane and its extents.
struct Plane<'a> {
    values: &'a [f64],
    height: usize,
    width: usize,
}

impl Plane<'_> {
    /// The four neighbours of a place, each times its bilinear weight; zeros more than one element outside.
    fn neighbours(&self, y: f64, x: f64) -> [f64; 4] {
        let (height, width) = (self.height as f64, self.width as f64);
        if !(y >= -1.0 && y <= height && x >= -1.0 && x <= width) {
            return [0.0; 4];
        }
        let (y, x) = (y.clamp(0.0, height - 1.0), x.clamp(0.0, width - 1.0));
        let (top, left) = (y.floor(), x.floor());
        let (down, right) = (y - top, x - left);
        let at = |row: f64, column: f64| {
            let (row, column) = (row.min(height - 1.0) as usize, column.min(width - 1.0) as usize);
            self.values[row * self.width + column]
        };
        [
            (1.0 - down) * (1.0 - right) * at(top, left),
            (1.0 - down) * right * at(top, left + 1.0),
            down * (1.0 - right) * at(top + 1.0, left),
            down * right * at(top + 1.0, left + 1.0),
        ]
    }
}

/// A region along one axis: its start, the size of a bin, and the samples of one.
struct Bins {
    start: f64,
    size: f64,
    samples: usize,
}

impl Bins {
    fn new(r: &RoiAlign, start: f64, end: f64, count: usize) -> Result<Self> {
        let offset = if r.half_pixel { 0.5 } else { 0.0 };
        let scale = f64::from(r.spatial_scale);
        let (start, end) = (start * scale - offset, end * scale - offset);
        // Regions without half a pixel are at least one element large.
        let length = if r.half_pixel {
            end - start
        } else {
            (end - start).max(1.0)
        };
        let size = length / count as f64;
        let samples = if r.sampling_ratio > 0 {
            r.sampling_ratio as f64
        } else {
            size.ceil()
        };
        if !start.is_finite() || samples.is_nan() || samples > MOST_SAMPLES {
            return Err(Error::new(
                ErrorKind::Limit,
                "regions",
                format!("at most {MOST_SAMPLES} samples a bin"),
                format!("{samples} from {start} to {end}"),
            ));
        }
        Ok(Self {
            start,
            size,
            samples: samples.max(0.0) as usize,
        })
    }

    fn at(&self, bin: usize, sample: usize) -> f64 {
        self.start + bin as f64 * self.size + (sample as f64 + 0.5) * self.size / self.samples as f64
    }
}

/// `(X, rois, batch_indices)`: regions `[n,4]` as `x1, y1, x2, y2`, to `[n,C,height,width]`.
pub(super) fn run_align(r: &RoiAlign, x: &Tensor, rois: &Tensor, batches: &Tensor) -> Result<Tensor> {
    let (&[batch, channels, height, width], &[count, 4]) = (x.shape(), rois.shape()) else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C,H,W] and regions [n,4]",
            format!("{:?} and {:?}", x.shape(), rois.shape()),
        ));
    };
    let batches = crate::spatial::extents(batches)?;
    if batches.len() != count || batches.iter().any(|&n| n >= batch) || height * width == 0 {
        return Err(Error::new(
            ErrorKind::Value,
            "batch indices",
            format!("{count} below {batch}, for planes that are not empty"),
            format!("{batches:?} for {:?}", x.shape()),
        ));
    }
    let shape = [count, channels, r.height, r.width];
    let mut y = Vec::with_capacity(real::count(&shape)?);
    let (values, regions) = (real::floats(x)?, real::floats(rois)?);
    let plane = height * width;
    for (region, &n) in regions.chunks_exact(4).zip(&batches) {
        let rows = Bins::new(r, region[1], region[3], r.height)?;
        let columns = Bins::new(r, region[0], region[2], r.width)?;
        for c in 0..channels {
            let plane = Plane {
                values: &values[(n * channels + c) * plane..][..plane],
                height,
                width,
            };
            for bin in 0..r.height * r.width {
                y.push(sampled(
                    r.reduction,
                    &plane,
                    (&rows, bin / r.width),
                    (&columns, bin % r.width),
                ));
            }
        }
    }
    real::tensor(&shape, x.dtype(), y)
}

/// The mean of a bin's samples, or their greatest weighted neighbour, as ONNX has it.
fn sampled(reduction: Reduction, plane: &Plane<'_>, rows: (&Bins, usize), columns: (&Bins, usize)) -> f64 {
    let (mut sum, mut greatest) = (0.0, f64::NEG_INFINITY);
    for row in 0..rows.0.samples {
        for column in 0..columns.0.samples {
            let found = plane.neighbours(rows.0.at(rows.1, row), columns.0.at(columns.1, column));
            sum += found.iter().sum::<f64>();
            greatest = found.into_iter().fold(greatest, f64::max);
        }
    }
    let count = rows.0.samples * columns.0.samples;
    match reduction {
        _ if count == 0 => 0.0,
        Reduction::Mean => sum / count as f64,
        Reduction::Max => greatest,
    }
}

/// A box as its lower and upper corner.
#[derive(Clone, Copy)]
struct Corners {
    low: [f32; 2],
    high: [f32; 2],
}

impl Corners {
    fn new(numbers: &[f32], center: bool) -> Self {
        let [a, b, c, d] = [numbers[0], numbers[1], numbers[2], numbers[3]];
        if center {
            Self {
                low: [a - c / 2.0, b - d / 2.0],
                high: [a + c / 2.0, b + d / 2.0],
            }
        } else {
            Self {
                low: [a.min(c), b.min(d)],
                high: [a.max(c), b.max(d)],
            }
        }
    }

    fn area(&self) -> f32 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// Intersection over union, in `f32` as the frameworks have it.
    fn overlap(&self, other: &Self) -> f32 {
        let side = |n: usize| (self.high[n].min(other.high[n]) - self.low[n].max(other.low[n])).max(0.0);
        let shared = side(0) * side(1);
        let union = self.area() + other.area() - shared;
        if shared <= 0.0 || self.area() <= 0.0 || other.area() <= 0.0 || union <= 0.0 {
            0.0
        } else {
            shared / union
        }
    }
}

/// The only element of an input that may be left out.
fn single(tensor: Option<&Tensor>) -> Result<Option<f64>> {
    match tensor.map(real::reals).as_deref() {
        None | Some([]) => Ok(None),
        Some([one]) => Ok(Some(*one)),
        Some(many) => Err(Error::new(ErrorKind::Shape, "", "one element", many.len())),
    }
}

/// `(boxes, scores, max_output_boxes?, iou_threshold?, score_threshold?)`: boxes `[N,n,4]`, scores `[N,classes,n]`, to
/// `[kept,3]` of batch, class and box.
pub(super) fn run_suppression(center: bool, inputs: [Option<&Tensor>; 5]) -> Result<Tensor> {
    let [Some(boxes), Some(scores), most, overlap, least] = inputs else {
        return Err(Error::new(ErrorKind::Name, "", "boxes and scores", "none"));
    };
    let (&[batch, count, 4], &[score_batch, classes, score_count]) = (boxes.shape(), scores.shape()) else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "boxes [N,n,4] and scores [N,classes,n]",
            format!("{:?} and {:?}", boxes.shape(), scores.shape()),
        ));
    };
    if [batch, count] != [score_batch, score_count] {
        return Err(Error::new(
            ErrorKind::Shape,
            "scores",
            format!("[{batch},classes,{count}]"),
            format!("{:?}", scores.shape()),
        ));
    }
    let most = single(most)?.unwrap_or(0.0).max(0.0) as usize;
    let overlap = single(overlap)?.unwrap_or(0.0) as f32;
    let least = single(least)?.map(|x| x as f32);
    let corners: Vec<Corners> = boxes
        .to_f32()
        .chunks_exact(4)
        .map(|b| Corners::new(b, center))
        .collect();
    let scores = scores.to_f32();
    let mut kept: Vec<i64> = Vec::new();
    for n in 0..batch * classes {
        let (b, class) = (n / classes, n % classes);
        let scores = &scores[n * count..][..count];
        let corners = &corners[b * count..][..count];
        let mut order: Vec<usize> = (0..count)
            .filter(|&n| least.is_none_or(|least| scores[n] > least))
            .collect();
        // Stable: the first of equal scores comes first.
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut chosen: Vec<usize> = Vec::new();
        for candidate in order {
            if chosen.len() >= most {
                break;
            }
            if chosen
                .iter()
                .all(|&c| corners[candidate].overlap(&corners[c]) <= overlap)
            {
                chosen.push(candidate);
                kept.extend([b as i64, class as i64, candidate as i64]);
            }
        }
    }
    Tensor::new(&[kept.len() / 3, 3], kept)
}
