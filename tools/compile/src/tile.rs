//! Sizes of tiles.

/// Tiles that every tier has code for: pixels and blocks.
const TILES: [(usize, usize); 12] = [
    (12, 2),
    (9, 2),
    (8, 3),
    (6, 4),
    (12, 1),
    (8, 2),
    (6, 3),
    (4, 4),
    (3, 4),
    (2, 4),
    (1, 4),
    (1, 1),
];
/// Pixels of the tiles that rests are cut into.
const SIZES: [usize; 8] = [1, 2, 3, 4, 6, 8, 9, 12];

/// Cycles of one group of taps for a tile: its products, its loads, its weights at 16 bytes a cycle from the second
/// cache, and the least that hides a product's latency.
fn cycles(pixels: usize, blocks: usize) -> f64 {
    let products = (pixels * blocks) as f64;
    let loads = (pixels + 2 * blocks) as f64;
    let weights = (blocks * 4) as f64;
    products.max(loads).max(weights).max(4.0)
}

/// The tile with the least predicted time for so many pixels, blocks of channels and groups of taps.
pub(crate) fn choose(pixels: usize, blocks: usize, depth: usize) -> (usize, usize) {
    let time = |&(p, b): &(usize, usize)| -> f64 {
        let each = |blocks: usize| {
            let size = p.min(pixels.max(1));
            let rest = pixels % size;
            let rest = SIZES.into_iter().find(|&s| s >= rest).unwrap_or(size);
            let tile = |size: usize| {
                // Setting a tile up and storing it costs as much as some groups; registers are stored in twos and
                // fours.
                let each = if blocks.is_multiple_of(2) { 5.0 } else { 8.0 };
                cycles(size, blocks) * depth as f64 + 30.0 + each * (size * blocks) as f64
            };
            let last = if pixels.is_multiple_of(size) {
                0.0
            } else {
                tile(rest)
            };
            tile(size) * (pixels / size) as f64 + last
        };
        let last = if blocks.is_multiple_of(b) {
            0.0
        } else {
            each(blocks % b)
        };
        each(b) * (blocks / b) as f64 + last
    };
    TILES
        .iter()
        .filter(|(p, _)| *p <= pixels.max(1))
        .copied()
        .min_by(|a, b| time(a).total_cmp(&time(b)))
        .unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fit_the_blocks_and_pixels() {
        assert_eq!(choose(576, 2, 36), (12, 2));
        assert_eq!(choose(144, 3, 72), (8, 3));
        assert_eq!(choose(9, 12, 288), (9, 2));
        assert_eq!(choose(12544, 6, 4), (12, 2));
        assert_eq!(choose(1, 12, 48).0, 1);
    }
}
