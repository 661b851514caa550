/** The numbers of docs/format.md that shape pages. They are part of the identity version: changing one changes every root. */
export const identityVersion = 1;

/** A page may end from this many records on. */
export const pageRecordsMin = 1024;
/** A page ends after this many records at the latest. */
export const pageRecordsMax = 16_384;
/** Rows are counted as if written one after the other; a page ends before the record that would take it over this. */
export const pageBytesMax = 1 << 20;
/** A key hash below this ends a page: one in 3,072, so that pages hold 4,096 records on average. */
export const cutHashBelow = 1_398_101;

/** Longer values are stored on their own. */
export const largeValueBytes = 256 * 1024;
export const largePartBytes = 1 << 20;
/** What a page holds in place of a large value: its length (u64) and its SHA-256. */
export const largeReferenceBytes = 40;
