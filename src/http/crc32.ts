/**
 * Checksums of texts that follow each other, from the checksums and lengths of the texts alone.
 *
 * A CRC-32 is the rest of a division of polynomials over GF(2) by P. Another text of n bytes behind the first one multiplies the first rest by
 * x^(8n) modulo P. Polynomials are numbers of 32 bits here, with the coefficient of x^0 in the highest bit, as in gzip.
 */
const P = 0xedb88320 | 0;
const [ONE, X] = [1 << 31, 1 << 30];

function multiply(a: number, b: number): number {
  let product = 0;
  // Without branches, which a processor could not predict: about 50 ns.
  for (let bit = 31; bit >= 0; bit--) {
    product ^= b & -((a >>> bit) & 1);
    b = (b >>> 1) ^ (P & -(b & 1));
  }
  return product;
}

/** x^(2^n) for n from 0 to 31. From there on they repeat. */
const SQUARES = [X];
while (SQUARES.length < 32) SQUARES.push(multiply(SQUARES.at(-1)!, SQUARES.at(-1)!));

/** The effect of a text of this length on the checksum of the texts before it, for `append()`. */
export function shiftOf(bytes: number): number {
  let shift = ONE;
  // 8 is 2^3.
  for (let [rest, n] = [bytes, 3]; rest > 0; rest >>>= 1, n++) {
    if (rest & 1) shift = multiply(SQUARES[n % 32]!, shift);
  }
  return shift;
}

/** The checksum of a text and another one behind it. */
export function append(
  before: number,
  { crc, shift }: { readonly crc: number; readonly shift: number },
): number {
  return multiply(before, shift) ^ crc;
}
