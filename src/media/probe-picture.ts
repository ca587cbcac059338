/** A picture of 2 × 2 pixels (BMP): small enough to stand in a document, and it can be scored. */
export const EXAMPLE_PICTURE =
  'Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAzvMYPWKHrNH2G0Bliq/U+Q==';
