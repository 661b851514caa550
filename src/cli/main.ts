console.log("cairn", process.version)
