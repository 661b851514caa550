/** What manifests and exports say that made them. The version is package.json's; a test compares them. */
export const tool = { name: "cairn", version: "0.1.0" } as const;
