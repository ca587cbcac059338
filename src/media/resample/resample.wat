;; Pillow's 8-bit bicubic resize in two passes with 128-bit SIMD. bridge/build-resample.ts compiles it to
;; src/media/resample/resample-module.generated.ts. src/media/resample/resample-wasm.ts lays out the memory.
;;
;; A weight has 24 bits, and its product with a pixel has 32. Each weight is split into two 16-bit halves, w = high *
;; 32768 + low with 0 <= low < 32768, so that i32x4.dot_i16x8_s multiplies eight halves at once. Intermediate sums wrap
;; modulo 2^32, but the final sum always fits.
(module
  (memory (export "memory") 1)

  ;; $source  first row of the strip, RGB, rows $source_stride bytes apart; 16 readable bytes must follow the last row
  ;; $target  first row to write, RGB, $size pixels each, rows $target_stride bytes apart; one byte after each row is overwritten
  ;; $outputs one record of 32 bytes per output column: i32 source byte offset, groups of four taps, weights address, 0,
  ;;          then i32x4 start of the sums (rounding + padding) for R, G, B, 0
  ;; weights  16 bytes a group of taps: low halves of 0 1, of 2 3, then high halves of 0 1, of 2 3
  (func (export "horizontal")
    (param $source i32) (param $source_stride i32) (param $rows i32)
    (param $target i32) (param $target_stride i32) (param $size i32) (param $outputs i32)
    (local $row_target i32) (local $output i32) (local $end i32) (local $at i32) (local $second_at i32) (local $groups i32) (local $weights i32)
    (local $second_target i32) (local $pixels v128) (local $left v128) (local $right v128)
    (local $low_left v128) (local $low_right v128) (local $high_left v128) (local $high_right v128)
    (local $low v128) (local $high v128) (local $second_low v128) (local $second_high v128)
    (local.set $end (i32.add (local.get $outputs) (i32.mul (local.get $size) (i32.const 32))))
    (block $done
      (loop $row
        (br_if $done (i32.le_s (local.get $rows) (i32.const 0)))
        (local.set $output (local.get $outputs))
        ;; two rows share the loads of their weights; a single last row is computed twice in the same place
        (local.set $second_at (i32.const 0))
        (local.set $second_target (i32.const 0))
        (if (i32.gt_s (local.get $rows) (i32.const 1))
          (then
            (local.set $second_at (local.get $source_stride))
            (local.set $second_target (local.get $target_stride))))
        (local.set $row_target (local.get $target))
        (loop $column
          (local.set $at (i32.add (local.get $source) (i32.load (local.get $output))))
          (local.set $groups (i32.load offset=4 (local.get $output)))
          (local.set $weights (i32.load offset=8 (local.get $output)))
          (local.set $low (v128.load offset=16 (local.get $output)))
          (local.set $second_low (local.get $low))
          (local.set $high (v128.const i32x4 0 0 0 0))
          (local.set $second_high (local.get $high))
          (block $summed
            (br_if $summed (i32.eqz (local.get $groups)))
            (loop $group
              (local.set $low_left (v128.load32_splat (local.get $weights)))
              (local.set $low_right (v128.load32_splat offset=4 (local.get $weights)))
              (local.set $high_left (v128.load32_splat offset=8 (local.get $weights)))
              (local.set $high_right (v128.load32_splat offset=12 (local.get $weights)))
              ;; R0 R1 G0 G1 B0 B1 _ _ as 16-bit numbers, then the same for taps 2 and 3; an index above 127 gives zero
              (local.set $pixels (v128.load (local.get $at)))
              (local.set $left (i8x16.swizzle (local.get $pixels)
                (v128.const i8x16 0 128 3 128 1 128 4 128 2 128 5 128 128 128 128 128)))
              (local.set $right (i8x16.swizzle (local.get $pixels)
                (v128.const i8x16 6 128 9 128 7 128 10 128 8 128 11 128 128 128 128 128)))
              (local.set $low (i32x4.add (local.get $low) (i32x4.add
                (i32x4.dot_i16x8_s (local.get $left) (local.get $low_left))
                (i32x4.dot_i16x8_s (local.get $right) (local.get $low_right)))))
              (local.set $high (i32x4.add (local.get $high) (i32x4.add
                (i32x4.dot_i16x8_s (local.get $left) (local.get $high_left))
                (i32x4.dot_i16x8_s (local.get $right) (local.get $high_right)))))
              (local.set $pixels (v128.load (i32.add (local.get $at) (local.get $second_at))))
              (local.set $left (i8x16.swizzle (local.get $pixels)
                (v128.const i8x16 0 128 3 128 1 128 4 128 2 128 5 128 128 128 128 128)))
              (local.set $right (i8x16.swizzle (local.get $pixels)
                (v128.const i8x16 6 128 9 128 7 128 10 128 8 128 11 128 128 128 128 128)))
              (local.set $second_low (i32x4.add (local.get $second_low) (i32x4.add
                (i32x4.dot_i16x8_s (local.get $left) (local.get $low_left))
                (i32x4.dot_i16x8_s (local.get $right) (local.get $low_right)))))
              (local.set $second_high (i32x4.add (local.get $second_high) (i32x4.add
                (i32x4.dot_i16x8_s (local.get $left) (local.get $high_left))
                (i32x4.dot_i16x8_s (local.get $right) (local.get $high_right)))))
              (local.set $at (i32.add (local.get $at) (i32.const 12)))
              (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
              (br_if $group (local.tee $groups (i32.sub (local.get $groups) (i32.const 1))))))
          ;; both rows are packed in one register: bytes 0-3 and 4-7
          (local.set $low (i16x8.narrow_i32x4_s
            (i32x4.shr_s (i32x4.add (local.get $low) (i32x4.shl (local.get $high) (i32.const 15))) (i32.const 22))
            (i32x4.shr_s (i32x4.add (local.get $second_low) (i32x4.shl (local.get $second_high) (i32.const 15)))
              (i32.const 22))))
          (local.set $low (i8x16.narrow_i16x8_u (local.get $low) (local.get $low)))
          ;; the fourth byte is overwritten by the next pixel, or is after the end of the row
          (v128.store32_lane 0 (local.get $target) (local.get $low))
          (v128.store32_lane 1 (i32.add (local.get $target) (local.get $second_target)) (local.get $low))
          (local.set $target (i32.add (local.get $target) (i32.const 3)))
          (local.set $output (i32.add (local.get $output) (i32.const 32)))
          (br_if $column (i32.lt_u (local.get $output) (local.get $end))))
        (local.set $target (i32.add (local.get $row_target) (i32.shl (local.get $target_stride) (i32.const 1))))
        (local.set $source (i32.add (local.get $source) (i32.shl (local.get $source_stride) (i32.const 1))))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 2)))
        (br $row))))

  ;; Computes one output row. $taps has $pairs records of 16 bytes: i32 address of row a, i32 address of row b, low
  ;; halves of their weights, high halves. Rows have $bytes bytes. Up to 15 more bytes are read, and written at $target.
  (func (export "vertical")
    (param $taps i32) (param $pairs i32) (param $target i32) (param $bytes i32)
    (local $x i32) (local $tap i32) (local $end i32)
    (local $a v128) (local $b v128) (local $low_weights v128) (local $high_weights v128)
    (local $p0 v128) (local $p1 v128) (local $p2 v128) (local $p3 v128)
    (local $l0 v128) (local $l1 v128) (local $l2 v128) (local $l3 v128)
    (local $h0 v128) (local $h1 v128) (local $h2 v128) (local $h3 v128)
    (local.set $end (i32.add (local.get $taps) (i32.mul (local.get $pairs) (i32.const 16))))
    (loop $block
      ;; adds half a unit of the 22-bit fraction for rounding
      (local.set $l0 (i32x4.splat (i32.const 2097152)))
      (local.set $l1 (local.get $l0)) (local.set $l2 (local.get $l0)) (local.set $l3 (local.get $l0))
      (local.set $h0 (v128.const i32x4 0 0 0 0))
      (local.set $h1 (local.get $h0)) (local.set $h2 (local.get $h0)) (local.set $h3 (local.get $h0))
      (local.set $tap (local.get $taps))
      (loop $pair
        (local.set $a (v128.load (i32.add (i32.load (local.get $tap)) (local.get $x))))
        (local.set $b (v128.load (i32.add (i32.load offset=4 (local.get $tap)) (local.get $x))))
        (local.set $low_weights (v128.load32_splat offset=8 (local.get $tap)))
        (local.set $high_weights (v128.load32_splat offset=12 (local.get $tap)))
        ;; interleaves a and b into pairs for dot_i16x8_s
        (local.set $p1 (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $a) (local.get $b)))
        (local.set $p3 (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $a) (local.get $b)))
        (local.set $p0 (i16x8.extend_low_i8x16_u (local.get $p1)))
        (local.set $p1 (i16x8.extend_high_i8x16_u (local.get $p1)))
        (local.set $p2 (i16x8.extend_low_i8x16_u (local.get $p3)))
        (local.set $p3 (i16x8.extend_high_i8x16_u (local.get $p3)))
        (local.set $l0 (i32x4.add (local.get $l0) (i32x4.dot_i16x8_s (local.get $p0) (local.get $low_weights))))
        (local.set $l1 (i32x4.add (local.get $l1) (i32x4.dot_i16x8_s (local.get $p1) (local.get $low_weights))))
        (local.set $l2 (i32x4.add (local.get $l2) (i32x4.dot_i16x8_s (local.get $p2) (local.get $low_weights))))
        (local.set $l3 (i32x4.add (local.get $l3) (i32x4.dot_i16x8_s (local.get $p3) (local.get $low_weights))))
        (local.set $h0 (i32x4.add (local.get $h0) (i32x4.dot_i16x8_s (local.get $p0) (local.get $high_weights))))
        (local.set $h1 (i32x4.add (local.get $h1) (i32x4.dot_i16x8_s (local.get $p1) (local.get $high_weights))))
        (local.set $h2 (i32x4.add (local.get $h2) (i32x4.dot_i16x8_s (local.get $p2) (local.get $high_weights))))
        (local.set $h3 (i32x4.add (local.get $h3) (i32x4.dot_i16x8_s (local.get $p3) (local.get $high_weights))))
        (local.set $tap (i32.add (local.get $tap) (i32.const 16)))
        (br_if $pair (i32.lt_u (local.get $tap) (local.get $end))))
      (local.set $l0 (i32x4.shr_s (i32x4.add (local.get $l0) (i32x4.shl (local.get $h0) (i32.const 15))) (i32.const 22)))
      (local.set $l1 (i32x4.shr_s (i32x4.add (local.get $l1) (i32x4.shl (local.get $h1) (i32.const 15))) (i32.const 22)))
      (local.set $l2 (i32x4.shr_s (i32x4.add (local.get $l2) (i32x4.shl (local.get $h2) (i32.const 15))) (i32.const 22)))
      (local.set $l3 (i32x4.shr_s (i32x4.add (local.get $l3) (i32x4.shl (local.get $h3) (i32.const 15))) (i32.const 22)))
      (v128.store (i32.add (local.get $target) (local.get $x))
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s (local.get $l0) (local.get $l1))
          (i16x8.narrow_i32x4_s (local.get $l2) (local.get $l3))))
      (local.set $x (i32.add (local.get $x) (i32.const 16)))
      (br_if $block (i32.lt_u (local.get $x) (local.get $bytes))))))
