/** A file type that qalign recognises but does not read. */
export interface Unreadable {
  /** The name with its article, e.g. `a JPEG XL picture`. */
  readonly name: string;
  /** What the user can do, as an imperative without a full stop. */
  readonly advice: string;
  /** True for a file that contains a picture or a clip. A folder search must not skip it silently. */
  readonly media: boolean;
  /** For text files. `magic`: the file starts with known words. `plain`: the file can also be a list of names. */
  readonly text?: 'magic' | 'plain';
}

const TO_PNG = 'convert it to PNG';
const PICTURE_ONLY = 'give a picture or a clip';

const picture = (name: string, advice = TO_PNG): Unreadable => ({ name, advice, media: true });
const raw = (name: string): Unreadable => picture(`a camera raw file (${name})`, 'develop or export it as PNG or JPEG');
const sound = (name: string): Unreadable => ({ name: `sound (${name})`, advice: PICTURE_ONLY, media: false });
const archive = (name: string): Unreadable => ({ name, advice: 'unpack it and give its files', media: false });
const words = (found: Unreadable): Unreadable => ({ ...found, text: 'magic' });
const other = (name: string, advice = PICTURE_ONLY): Unreadable => ({ name, advice, media: false });

/** The bytes at an offset identify the type. Of marks with a common start, the longer comes first. */
const MARKS: readonly (readonly [at: number, mark: string, found: Unreadable])[] = [
  [0, '\xff\x0a', picture('a JPEG XL picture')],
  [0, '\0\0\0\x0cJXL \r\n\x87\n', picture('a JPEG XL picture')],
  [0, '\0\0\0\x0cjP  \r\n\x87\n', picture('a JPEG 2000 picture')],
  [0, '\xff\x4f\xff\x51', picture('a JPEG 2000 codestream')],
  [0, 'II\xbc', picture('a JPEG XR picture')],
  [0, 'P7\n', picture('a PAM picture')],
  [0, 'PF\n', picture('a PFM picture of floating-point samples')],
  [0, 'Pf\n', picture('a PFM picture of floating-point samples')],
  [0, '8BPS', picture('a Photoshop document (PSD)')],
  [0, 'gimp xcf', picture('a GIMP document (XCF)')],
  [0, 'qoif', picture('a QOI picture')],
  [0, 'icns', picture('a macOS icon (ICNS)')],
  [0, 'DDS ', picture('a DDS texture')],
  [0, '\x76\x2f\x31\x01', picture('an OpenEXR picture', 'tone-map it and save it as PNG')],
  [0, '#?RADIANCE', picture('a Radiance HDR picture', 'tone-map it and save it as PNG')],
  [0, '#?RGBE', picture('a Radiance HDR picture', 'tone-map it and save it as PNG')],
  [0, 'SIMPLE  =', picture('a FITS file')],
  [128, 'DICM', picture('a DICOM file', 'export its picture as PNG')],
  [0, '%!PS', words(picture('a PostScript or EPS file', 'render it to PNG'))],
  [0, '\xc5\xd0\xd3\xc6', picture('an EPS file', 'render it to PNG')],
  [0, '%PDF-', words(other('a PDF document', 'render its pages to PNG'))],
  [0, '\xd7\xcd\xc6\x9a', picture('a Windows metafile (WMF)', 'render it to PNG')],
  [40, ' EMF', picture('a Windows metafile (EMF)', 'render it to PNG')],
  [0, 'FORM', other('an IFF file')],
  [0, 'BPG\xfb', picture('a BPG picture')],
  [0, 'FLIF', picture('a FLIF picture')],
  [0, '\x8aMNG\r\n\x1a\n', picture('an MNG animation')],
  [0, '\x8bJNG\r\n\x1a\n', picture('a JNG picture')],
  [0, 'AT&TFORM', other('a DjVu document', 'render its pages to PNG')],
  [0, 'IIRO', raw('ORF')],
  [0, 'IIRS', raw('ORF')],
  [0, 'MMOR', raw('ORF')],
  [0, 'IIU\0', raw('RW2')],
  [0, 'FUJIFILMCCD-RAW', raw('RAF')],
  [0, 'II\x1a\0\0\0HEAPCCDR', raw('CRW')],
  [0, 'FOVb', raw('X3F')],
  [0, '\0MRM', raw('MRW')],
  [4, 'ftypcrx ', raw('CR3')],
  [8, 'WAVE', sound('WAV')],
  [8, 'ACON', picture('an animated Windows cursor (ANI)')],
  [0, 'RIFF', other('a RIFF file of another kind')],
  [0, 'ID3', sound('MP3')],
  [0, 'fLaC', sound('FLAC')],
  [0, 'MThd', sound('MIDI')],
  [0, '#!AMR', sound('AMR')],
  [0, 'PK\x03\x04', archive('a ZIP archive or an Office document')],
  [0, 'PK\x05\x06', archive('an empty ZIP archive')],
  [0, '\x1f\x8b', archive('a gzip archive')],
  [0, 'BZh', archive('a bzip2 archive')],
  [0, '\xfd7zXZ\0', archive('an xz archive')],
  [0, '\x28\xb5\x2f\xfd', archive('a Zstandard archive')],
  [0, "7z\xbc\xaf'\x1c", archive('a 7z archive')],
  [0, 'Rar!\x1a\x07', archive('a RAR archive')],
  [257, 'ustar', archive('a tar archive')],
  [0, '\x7fELF', other('a program (ELF)')],
  [0, 'MZ', other('a Windows program')],
  [0, '\xcf\xfa\xed\xfe', other('a macOS program')],
  [0, '\xca\xfe\xba\xbe', other('a program (Mach-O or Java)')],
  [0, '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', other('an old Office document or a Thumbs.db')],
  [0, 'SQLite format 3\0', other('an SQLite database')],
  [0, '\x93NUMPY', other('a NumPy array', 'save it as PNG')],
  [0, '\x89HDF\r\n\x1a\n', other('an HDF5 file', 'save its pictures as PNG')],
  [0, 'wOFF', other('a font')],
  [0, 'wOF2', other('a font')],
  [0, '\0\x05\x16\x07', other('an AppleDouble file of macOS', 'give the file of the same name without "._"')],
  [0, '\0\x05\x16\0', other('an AppleSingle file of macOS', 'extract its file on a Mac')],
  [
    0,
    'version https://git-lfs.github.com/spec/',
    words(other('a git-LFS pointer, not the file itself', 'run "git lfs pull"')),
  ],
];

const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, Math.min(to, bytes.length)));

/** ICO and CUR: 1 … 255 pictures. The reserved byte of the first entry is 0, and its data follow the entries. */
function isIcon(bytes: Uint8Array): boolean {
  if (bytes.length < 22 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[3] !== 0) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint16(4, true);
  return (
    (bytes[2] === 1 || bytes[2] === 2) &&
    count > 0 &&
    count < 256 &&
    bytes[9] === 0 &&
    view.getUint32(14, true) > 0 &&
    view.getUint32(18, true) >= 6 + count * 16
  );
}

/** TGA has no magic bytes, so every header field is checked. */
function isTga(bytes: Uint8Array): boolean {
  if (bytes.length < 18) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [palette = 0, type = 0] = [bytes[1], bytes[2]];
  const [depth = 0, descriptor = 0] = [bytes[16], bytes[17]];
  const withPalette = type === 1 || type === 9;
  const emptyPalette = bytes.subarray(3, 8).every((byte) => byte === 0);
  const depths: Readonly<Record<number, readonly number[]>> = { 1: [8], 2: [16, 24, 32], 3: [8] };
  return (
    (withPalette ? palette === 1 && [16, 24, 32].includes(bytes[7] ?? 0) : palette === 0 && emptyPalette) &&
    (depths[type & 7]?.includes(depth) ?? false) &&
    (type & ~8) <= 3 &&
    view.getUint16(8, true) === 0 &&
    view.getUint16(12, true) > 0 &&
    view.getUint16(14, true) > 0 &&
    (descriptor & 0xc0) === 0 &&
    (descriptor & 15) <= (depth === 32 ? 8 : depth === 16 ? 1 : 0)
  );
}

/** PCX: version, run-length coding, and a window with ordered corners. */
function isPcx(bytes: Uint8Array): boolean {
  if (bytes.length < 128 || bytes[0] !== 10 || bytes[2] !== 1 || bytes[64] !== 0) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (
    [0, 2, 3, 4, 5].includes(bytes[1] ?? -1) &&
    [1, 2, 4, 8].includes(bytes[3] ?? 0) &&
    view.getUint16(8, true) >= view.getUint16(4, true) &&
    view.getUint16(10, true) >= view.getUint16(6, true)
  );
}

/** MPEG audio and ADTS: the sync word and no reserved values. JPEG and JPEG XL also begin with FF. */
function isMpegAudio(bytes: Uint8Array): boolean {
  const [first = 0, second = 0, third = 0] = bytes;
  if (first !== 0xff || (second & 0xe0) !== 0xe0 || bytes.length < 4) return false;
  if ((second & 0xf6) === 0xf0) return (third & 0x3c) >> 2 < 13;
  const [version, layer] = [(second >> 3) & 3, (second >> 1) & 3];
  return version !== 1 && layer !== 0 && third >> 4 !== 15 && third >> 4 !== 0 && ((third >> 2) & 3) !== 3;
}

/** Detects text in UTF-8 or UTF-16 by its first bytes, and its type by its first words. */
function foreignText(bytes: Uint8Array): Unreadable | undefined {
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const start = bytes.subarray(0, 1024);
  if (!utf16 && start.some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27) || byte === 127))
    return undefined;
  let beginning: string;
  try {
    const encoding = !utf16 ? 'utf-8' : bytes[0] === 0xff ? 'utf-16le' : 'utf-16be';
    // `stream`: byte 1024 can be inside a character
    beginning = new TextDecoder(encoding, { fatal: true }).decode(start, { stream: true }).trimStart();
  } catch {
    return undefined;
  }
  if (/^P[123][\s#]/.test(beginning)) return words(picture('a PNM picture written in digits (P1, P2, P3)'));
  const lower = beginning.toLowerCase();
  if (/<svg[\s>]/.test(lower)) return words(picture('an SVG drawing', 'render it to PNG'));
  if (/^<!doctype html|^<html|<head[\s>]|<body[\s>]/.test(lower))
    return words(other('a web page (HTML)', 'give the address of the picture itself, or save the picture'));
  if (lower.startsWith('<')) return words(other('an XML file'));
  if (/^[[{]/.test(lower)) return { ...other('a JSON file'), text: 'plain' };
  return { ...other('a text file'), text: 'plain' };
}

/** Names a file that qalign recognises but does not read. Returns undefined for an unknown file. */
export function findForeign(bytes: Uint8Array): Unreadable | undefined {
  for (const [at, mark, found] of MARKS) if (latin1(bytes, at, at + mark.length) === mark) return found;
  if (isIcon(bytes)) return picture(bytes[2] === 1 ? 'a Windows icon (ICO)' : 'a Windows cursor (CUR)');
  if (isPcx(bytes)) return picture('a PCX picture');
  const text = foreignText(bytes);
  if (text !== undefined) return text;
  if (isMpegAudio(bytes)) return sound('MP3 or AAC');
  return isTga(bytes) ? picture('a TGA picture') : undefined;
}
