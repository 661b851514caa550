import type { Batch } from "../../../model/batch.ts";

/** Something that takes a volume's batches and keeps them, all but `setting`: a server, a file, or a server that follows us. */
export interface Fill {
  write(batch: Batch): Promise<void>;
  /** After the last batch: what follows from all of them; resolves when everything has arrived. */
  finish(): Promise<void>;
  /** Lets go; a file that was not sealed stays for its owner to remove. */
  close(): Promise<void>;
}
