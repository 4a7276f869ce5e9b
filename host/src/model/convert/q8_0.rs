//! llama.cpp's Q8_0: blocks of 32 numbers, each a half-precision scale and 32
//! bytes. Number for number as its reference does it, so that a file made here is
//! the one that its own tools make.

/// Numbers in a block.
pub(super) const BLOCK: usize = 32;
/// Bytes that a block takes: the scale, then the numbers.
pub(super) const BLOCK_BYTES: usize = 2 + BLOCK;

/// One block. `None` when a number is not finite: nothing sensible follows.
pub(super) fn quantise(numbers: &[f32; BLOCK]) -> Option<[u8; BLOCK_BYTES]> {
    let largest = numbers.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    if !numbers.iter().all(|number| number.is_finite()) {
        return None;
    }
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut block = [0; BLOCK_BYTES];
    let (head, bytes) = block.split_at_mut(2);
    head.copy_from_slice(&half(scale).to_le_bytes());
    for (byte, number) in bytes.iter_mut().zip(numbers) {
        // Half away from zero, as C's roundf; at most 127 in size by the scale.
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 127")]
        let rounded = (number * inverse).round() as i8;
        *byte = rounded.to_le_bytes()[0];
    }
    Some(block)
}

/// The bits of the nearest half-precision number, to even where two are as near;
/// infinity where none is.
fn half(number: f32) -> u16 {
    let bits = number.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let exponent = (bits >> 23) & 0xff;
    let fraction = bits & 0x007f_ffff;
    let magnitude = match exponent {
        255 if fraction != 0 => 0x7e00,
        // 2^16 and more, and what rounds to it.
        143.. => 0x7c00,
        // From 2^-14 on: drop 13 bits, and let a carry go into the exponent.
        113.. => nearest((exponent - 112) << 23 | fraction, 13),
        // Subnormal: the leading bit becomes one of the fraction.
        102.. => nearest(0x0080_0000 | fraction, 126 - exponent),
        _ => 0,
    };
    u16::try_from(sign | magnitude).unwrap_or(0x7c00)
}

/// `bits` without the last `dropped`, rounded to even.
fn nearest(bits: u32, dropped: u32) -> u32 {
    let kept = bits >> dropped;
    let rest = bits & ((1 << dropped) - 1);
    let middle = 1 << (dropped - 1);
    let up = rest > middle || (rest == middle && kept & 1 == 1);
    kept + u32::from(up)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The way back, from the definition.
    fn single(half: u16) -> f32 {
        let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
        let exponent = i32::from((half >> 10) & 0x1f);
        let fraction = f32::from(half & 0x3ff);
        let size = match exponent {
            0 => fraction * 2.0_f32.powi(-24),
            31 if half & 0x3ff == 0 => f32::INFINITY,
            31 => f32::NAN,
            _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
        };
        sign * size
    }

    #[test]
    fn every_half_is_its_own_nearest() {
        for bits in 0..=u16::MAX {
            let number = single(bits);
            if number.is_nan() {
                assert!(single(half(number)).is_nan());
            } else {
                assert_eq!(half(number), bits, "{number}");
            }
        }
    }

    #[test]
    fn between_two_halves_the_nearer_one_is_taken_and_the_even_one_in_the_middle() {
        for bits in 0..0x7bff_u16 {
            let (low, high) = (single(bits), single(bits + 1));
            let middle = f32::midpoint(low, high);
            let even = if bits % 2 == 0 { bits } else { bits + 1 };
            assert_eq!(half(middle), even, "{middle}");
            assert_eq!(half(middle.next_down()), bits);
            assert_eq!(half(middle.next_up()), bits + 1);
        }
        for (number, bits) in [(65519.0, 0x7bff), (65520.0, 0x7c00), (1e30, 0x7c00), (1e-30, 0)] {
            assert_eq!(half(number), bits, "{number}");
        }
    }

    #[test]
    fn a_block_is_as_the_reference_writes_it() {
        let mut numbers = [0.0; BLOCK];
        assert_eq!(quantise(&numbers).unwrap(), [0; BLOCK_BYTES]);
        // The scale is 1: halves go away from zero, not to the even neighbour.
        numbers[0] = 127.0;
        numbers[1] = -127.0;
        numbers[2] = 0.5;
        numbers[3] = -0.5;
        numbers[4] = 2.5;
        numbers[5] = 2.4;
        let block = quantise(&numbers).unwrap();
        assert_eq!(block[..2], 0x3c00_u16.to_le_bytes());
        assert_eq!(block[2..8], [127, 129, 1, 255, 3, 2]);
        numbers[6] = f32::NAN;
        assert_eq!(quantise(&numbers), None);
        numbers[6] = f32::INFINITY;
        assert_eq!(quantise(&numbers), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back_within_half_a_step(numbers in prop::array::uniform32(-8.0_f32..8.0)) {
            let block = quantise(&numbers).unwrap();
            let scale = single(u16::from_le_bytes([block[0], block[1]]));
            let largest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
            for (byte, number) in block[2..].iter().zip(numbers) {
                let back = f32::from(i8::from_le_bytes([*byte])) * scale;
                // Half a step, and what the scale lost as a half.
                prop_assert!((back - number).abs() <= largest / 254.0 + largest / 1000.0 + 1e-6);
            }
        }
    }
}
