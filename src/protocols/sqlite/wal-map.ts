/** Which WAL frame holds a page: an open-addressing hash in two typed arrays, at most 24 bytes a frame. */
export interface WalMap {
  /** Pages in the map. */
  readonly pageCount: number;
  /** The last frame (from 1) that holds this page, or 0. */
  frameOf(page: number): number;
}

/**
 * Builds the map from the page numbers of frames; `pages[i]` is the page of frame `firstFrame + i`. A later frame wins over an
 * earlier one.
 */
export function buildWalMap(pages: Uint32Array, firstFrame: number): WalMap {
  let slots = 16;
  while (slots < pages.length * 1.5) slots *= 2;
  const mask = slots - 1;
  const keys = new Uint32Array(slots);
  const frames = new Uint32Array(slots);
  let pageCount = 0;
  for (let index = 0; index < pages.length; index++) {
    const page = pages[index];
    let slot = Math.imul(page, 0x9e3779b1) & mask;
    while (keys[slot] !== 0 && keys[slot] !== page) slot = (slot + 1) & mask;
    if (keys[slot] === 0) pageCount++;
    keys[slot] = page;
    frames[slot] = firstFrame + index;
  }
  return {
    pageCount,
    frameOf(page) {
      let slot = Math.imul(page, 0x9e3779b1) & mask;
      for (;;) {
        const key = keys[slot];
        if (key === page) return frames[slot];
        if (key === 0) return 0;
        slot = (slot + 1) & mask;
      }
    },
  };
}
