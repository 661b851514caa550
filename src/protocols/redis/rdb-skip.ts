import { rdbItem } from "./rdb-types.ts";

/** What to pass over next: so many bytes when 0 or more, else one of these. */
export const skipLength = -1;
export const skipString = -2;
export const skipTextScore = -3;

/**
 * Says piece by piece what to pass over; gets the number back after `skipLength`. Ends when the value ends; returns what is wrong with
 * it, if anything.
 */
export type SkipSteps = Generator<number, string | undefined, number>;

/** What an item of a type consists of, for a key that nobody wants: the list is gone through for each item. */
export function skipPattern(item: number): readonly number[] {
  switch (item) {
    case rdbItem.field:
      return [skipString, skipString];
    case rdbItem.textScore:
      return [skipString, skipTextScore];
    case rdbItem.binaryScore:
      return [skipString, 8];
    case rdbItem.quicklistNode:
      return [skipLength, skipString];
    case rdbItem.timedField:
      return [skipLength, skipString, skipString];
    case rdbItem.fieldWithTime:
      return [skipString, skipString, 8];
    default:
      return [skipString];
  }
}

/** A stream (`rdbSaveObject` for OBJ_STREAM): 1 as of Redis 5, 2 as of 7.0, 3 as of 7.2. */
export function* streamSteps(form: number): SkipSteps {
  const listpacks = yield skipLength;
  for (let at = 0; at < listpacks; at++) {
    yield skipString;
    yield skipString;
  }
  yield* lengths(form === 1 ? 3 : 8);
  const groups = yield skipLength;
  for (let group = 0; group < groups; group++) {
    yield skipString;
    yield* lengths(form === 1 ? 2 : 3);
    const pending = yield skipLength;
    for (let at = 0; at < pending; at++) {
      yield 24;
      yield skipLength;
    }
    const consumers = yield skipLength;
    for (let consumer = 0; consumer < consumers; consumer++) {
      yield skipString;
      yield form === 3 ? 16 : 8;
      const own = yield skipLength;
      for (let at = 0; at < own; at++) yield 16;
    }
  }
  return undefined;
}

function* lengths(count: number): SkipSteps {
  for (let at = 0; at < count; at++) yield skipLength;
  return undefined;
}

/** What modules write says of what kind each piece is, up to an end mark. `heads`: numbers before that. */
export function* moduleSteps(heads: number): SkipSteps {
  yield* lengths(heads);
  for (;;) {
    const kind = yield skipLength;
    switch (kind) {
      case 0:
        return undefined;
      case 1:
      case 2:
        yield skipLength;
        break;
      case 3:
        yield 4;
        break;
      case 4:
        yield 8;
        break;
      case 5:
        yield skipString;
        break;
      default:
        return `a module's value has a piece of the unknown kind ${kind}`;
    }
  }
}

/** Redis 8.6: metadata that modules keep of the key that follows. */
export function* keyMetadataSteps(): SkipSteps {
  const classes = yield skipLength;
  for (let at = 0; at < classes; at++) {
    yield 4;
    const problem = yield* moduleSteps(0);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Valkey: slots that are being imported, by name and ranges. */
export function* slotImportSteps(): SkipSteps {
  yield skipString;
  const ranges = yield skipLength;
  for (let at = 0; at < ranges; at++) yield* lengths(2);
  return undefined;
}

/** Numbers that say nothing to us. */
export function numberSteps(count: number): SkipSteps {
  return lengths(count);
}

/** One string that says nothing to us. */
export function* stringSteps(): SkipSteps {
  yield skipString;
  return undefined;
}
