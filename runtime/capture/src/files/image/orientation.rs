//! EXIF orientation: found in a TIFF block, and applied.

/// Tag of the orientation in the first directory.
const ORIENTATION: u16 = 0x0112;
const TYPE_SHORT: u16 = 3;

/// The orientation (1..=8) that an EXIF block holds; 1, upright, when it holds none or a senseless one.
pub(super) fn read(exif: &[u8]) -> u16 {
    parse(exif)
        .filter(|orientation| (1..=8).contains(orientation))
        .unwrap_or(1)
}

fn parse(exif: &[u8]) -> Option<u16> {
    // A PNG's block starts with the TIFF header; some writers put the JPEG segment's prefix before it.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let half = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let word = |at: usize| {
        let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    };
    let directory = usize::try_from(word(4)?).ok()?;
    let entries = half(directory)?;
    (0..usize::from(entries))
        .map_while(|index| directory.checked_add(2 + 12 * index))
        .find_map(|at| {
            let matches = half(at)? == ORIENTATION && half(at.checked_add(2)?)? == TYPE_SHORT;
            if matches { half(at.checked_add(8)?) } else { None }
        })
}

/// Turns and mirrors a picture so that it stands upright; returns its new width, height and pixels.
///
/// As in EXIF 2.3, tag 0x0112: 2, 3, 4 mirror or turn by 180 degrees, 5 to 8 swap rows and columns too.
pub(super) fn apply(
    orientation: u16,
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<u8>,
) -> (u32, u32, Vec<u8>) {
    if !(2..=8).contains(&orientation) {
        return (width, height, pixels);
    }
    let swap = orientation >= 5;
    let mirror_columns = matches!(orientation, 2 | 3 | 7 | 8);
    let mirror_rows = matches!(orientation, 3 | 4 | 6 | 7);
    let (columns, rows) = (width as usize, height as usize);
    let (new_width, new_height) = if swap { (rows, columns) } else { (columns, rows) };
    let mut upright = Vec::with_capacity(pixels.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (column, row) = if swap { (y, x) } else { (x, y) };
            let column = if mirror_columns {
                columns - 1 - column
            } else {
                column
            };
            let row = if mirror_rows { rows - 1 - row } else { row };
            let start = (row * columns + column) * channels;
            upright.extend_from_slice(pixels.get(start..start + channels).unwrap_or_default());
        }
    }
    (new_width as u32, new_height as u32, upright)
}
