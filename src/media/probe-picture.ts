/** A valid picture of 2 × 2 pixels (BMP) in base64. It is small enough for an example in a document. */
export const EXAMPLE_PICTURE =
  'Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAzvMYPWKHrNH2G0Bliq/U+Q==';
