import type { Random } from "./random.ts";

/** How the files of a directory are named; it also decides their typical sizes and modes. */
export const styles = ["camera", "hash", "logs", "words", "unicode", "parts", "source"] as const;
export type Style = (typeof styles)[number];

/** Makes the names of one directory's files, each once. */
export type Namer = () => string;

const plainWords = (
  "account agenda alpha analysis annual archive asset audit backup balance batch beta board branch brief budget build " +
  "bundle campaign capture catalog change chart client cloud cluster code comment company compare complete config contact " +
  "content contract copy core cost course credit customer daily data deck default delivery demo design detail device " +
  "diagram digest document draft edition email employee energy engine entry error estimate event example export extra " +
  "factory feature field figure file final finance flow form forecast forward frame front gallery general global graph " +
  "group guide handbook health history home host image import index info input inside insight invoice item journal key " +
  "label launch layer layout lead ledger legacy letter level library license list local logic machine mail main manual " +
  "map market master matrix media meeting memo menu merge message method metric mobile model module monitor monthly " +
  "motion network node notes notice object offer office online order origin output overview owner package page panel " +
  "paper parser partner patch path payment people period person phase photo pilot pipeline plan player policy portal " +
  "price print process product profile project proposal public purchase quality quarterly query queue quote range rate " +
  "record reference region release remote render report request research resource result review risk roadmap route " +
  "sales sample scan schedule schema scope script search section security series server service session setup share " +
  "sheet signal site sketch slides snapshot source space spec staff stage state statement status store strategy stream " +
  "study summary supplier support survey system table target task team template term test theme thread ticket timeline " +
  "token tool topic track trade training transfer travel trend update upload usage user utility value vendor version " +
  "video view vision weekly window work worker workshop yearly zone"
).split(" ");

const unicodeWords = (
  "Übersicht Größe Straße Maßnahmen Verträge Prüfung Lösung Änderung Fußnote Büro résumé déjà été réunion façade " +
  "relevé président añejo niño señal canción reunião coração ação Łódź źródło święto příloha zpráva čeština ćwiczenie " +
  "отчёт договор проект фотография документ протокол смета счёт Москва бюджет план задание история письмо заявка " +
  "報告書 会議 写真 資料 計画 見積 請求書 議事録 東京 旅行 設計図 提案 契約 予算 報告 会议 照片 文件 合同 预算 设计 北京 " +
  "项目 数据 备份 系统 보고서 회의 사진 문서 계약 예산 서울 תמונה מסמך דוח صورة تقرير عقد مشروع ميزانية अनुबंध रिपोर्ट चित्र " +
  "รายงาน เอกสาร ภาพถ่าย ελληνικά έκθεση φωτογραφία 📷 ✨ naïve café smörgåsbord Zürich"
).split(" ");

const services =
  "api auth billing cache cron gateway ingest mail nginx payments proxy scheduler search sync web worker".split(" ");
const documentEndings = ["docx", "pdf", "xlsx", "pptx", "txt", "md", "csv", "odt", "jpg", "png", "zip", "eml", "html"];
const languages: readonly (readonly string[])[] = [
  ["ts", "ts", "ts", "test.ts", "tsx", "json", "md", "css"],
  ["go", "go", "go", "_test.go", "proto", "yaml", "md"],
  ["py", "py", "py", "ipynb", "toml", "txt", "pyc"],
  ["c", "h", "c", "h", "o", "S", "txt"],
  ["java", "java", "java", "class", "xml", "properties"],
  ["rs", "rs", "toml", "md"],
];
const wellKnown = [
  "README.md",
  "LICENSE",
  "Makefile",
  "package.json",
  "index.ts",
  "__init__.py",
  ".gitignore",
  "CHANGELOG.md",
  "Dockerfile",
];

/** A namer for a directory of about `files` files from the time `timeS` (unix seconds). Names never repeat, and none looks like a name of `directoryName`. */
export function openNamer(style: Style, timeS: number, files: number, random: Random): Namer {
  switch (style) {
    case "camera":
      return cameraNames(timeS, random);
    case "hash":
      return hashNames(random);
    case "logs":
      return logNames(timeS, files, random);
    case "words":
      return distinct(() => wordName(plainWords, random));
    case "unicode":
      return distinct(() => wordName(unicodeWords, random));
    case "parts":
      return partNames(random);
    case "source":
      return sourceNames(random);
  }
}

/**
 * The name of a sub-directory, different for every rank below one parent: dates, hash prefixes, words or versions.
 * It has no dot, which names of files have unless they are all hexadecimal or well known.
 */
export function directoryName(parentStyle: Style, parent: number, rank: number): string {
  switch (parentStyle) {
    case "camera":
    case "logs": {
      const date = new Date(Date.UTC(2019, 0, 1 + ((parent * 7) % 1500) + rank));
      return parent % 3 === 0 ? compactDate(date) : date.toISOString().slice(0, 10);
    }
    case "hash":
      return ((parent * 37 + rank * 73) % 256).toString(16).padStart(2, "0") + (rank < 256 ? "" : `-${rank >> 8}`);
    case "parts":
      return parent % 2 === 0 ? `split=${rank}` : `run-${String((parent % 900) + rank).padStart(4, "0")}`;
    case "words":
    case "source":
      return spread(plainWords, parent, rank);
    case "unicode":
      return spread(unicodeWords, parent, rank);
  }
}

function spread(words: readonly string[], parent: number, rank: number): string {
  const round = Math.floor(rank / words.length);
  // 101 shares no factor with the number of words, so the first round meets each word once.
  const word = words[(parent * 31 + rank * 101) % words.length];
  return round === 0 ? word : `${word}-${round + 1}`;
}

function cameraNames(timeS: number, random: Random): Namer {
  let number = random.below(9_000);
  let timeMs = timeS * 1000 + random.below(1000);
  const ending = random.pick(["JPG", "JPG", "jpg", "HEIC", "jpeg"]);
  const kind = random.below(4);
  return () => {
    number += 1 + (random.chance(0.1) ? random.below(9) : 0);
    timeMs += 1_000 + Math.floor(random.exponential(45_000));
    const last = random.chance(0.06) ? "MOV" : random.chance(0.15) ? "ARW" : ending;
    if (kind === 0) {
      return `IMG_${String(number).padStart(4, "0")}.${last}`;
    }
    if (kind === 1) {
      return `DSC${String(number).padStart(5, "0")}.${last}`;
    }
    const stamp = new Date(timeMs).toISOString();
    const clock = stamp.slice(11, 19).replaceAll(":", "");
    return kind === 2
      ? `PXL_${compactDate(stamp)}_${clock}${stamp.slice(20, 23)}.${last}`
      : `${compactDate(stamp)}_${clock}.${last}`;
  };
}

function hashNames(random: Random): Namer {
  const kind = random.below(4);
  const ending = random.pick(["bin", "dat", "json", "jpg", "webp"]);
  return () => {
    switch (kind) {
      case 0:
        return random.hex(19);
      case 1:
        return random.hex(32);
      case 2:
        return `${random.hex(20)}.${ending}`;
      default:
        return `${uuid(random)}.${ending}`;
    }
  };
}

function logNames(timeS: number, files: number, random: Random): Namer {
  const service = random.pick(services);
  // A log a day would take the largest directories centuries ahead.
  const kind = files > 2_000 ? 1 + random.below(2) : random.below(4);
  let time = timeS - (timeS % 86_400);
  let number = 0;
  return () => {
    number++;
    switch (kind) {
      case 0:
        time += 86_400;
        return `${service}-${new Date(time * 1000).toISOString().slice(0, 10)}.log.gz`;
      case 1:
        time += 3_600;
        return `access-${compactDate(new Date(time * 1000))}-${String(Math.floor(time / 3600) % 24).padStart(2, "0")}.log`;
      case 2:
        time += 60 + random.below(3_540);
        return `${service}_events_${time}.json.zst`;
      default:
        return number === 1 ? `${service}.log` : `${service}.log.${number - 1}`;
    }
  };
}

function partNames(random: Random): Namer {
  const job = uuid(random);
  const total = String(random.pick([64, 256, 1024, 4096])).padStart(5, "0");
  const kind = random.below(4);
  let number = random.chance(0.7) ? -1 : random.below(5_000);
  return () => {
    number++;
    const padded = String(number);
    switch (kind) {
      case 0:
        return `part-${padded.padStart(5, "0")}-${job}-c000.snappy.parquet`;
      case 1:
        return `frame_${padded.padStart(6, "0")}.exr`;
      case 2:
        return `shard-${padded.padStart(5, "0")}-of-${total}.tfrecord`;
      default:
        return `train_${padded.padStart(7, "0")}.npz`;
    }
  };
}

function sourceNames(random: Random): Namer {
  const endings = random.pick(languages);
  const joint = random.pick(["_", "-", ""]);
  return distinct(() => {
    if (random.chance(0.08)) {
      return random.pick(wellKnown);
    }
    let name = random.pick(plainWords);
    for (let more = random.below(3); more > 0; more--) {
      const word = random.pick(plainWords);
      name += joint === "" ? word[0].toUpperCase() + word.slice(1) : joint + word;
    }
    const ending = random.pick(endings);
    return ending.startsWith("_") ? name + ending : `${name}.${ending}`;
  });
}

function wordName(words: readonly string[], random: Random): string {
  const joint = random.pick([" ", " ", "-", "_"]);
  let name = random.pick(words);
  for (let more = random.below(4); more > 0; more--) {
    name += joint + random.pick(words);
  }
  if (random.chance(0.2)) {
    name += `${joint}${2012 + random.below(14)}`;
  }
  if (random.chance(0.1)) {
    name += `${joint}v${1 + random.below(9)}`;
  }
  if (random.chance(0.1)) {
    name = name[0].toUpperCase() + name.slice(1);
  }
  return `${name}.${random.pick(documentEndings)}`;
}

/** Lets each name through once; a repeated one gets the number that file managers append. */
function distinct(next: Namer): Namer {
  const seen = new Set<string>();
  return () => {
    const name = next();
    let candidate = name;
    for (let copy = 1; seen.has(candidate); copy++) {
      const dot = name.lastIndexOf(".");
      candidate = dot <= 0 ? `${name}.${copy}` : `${name.slice(0, dot)} (${copy})${name.slice(dot)}`;
    }
    seen.add(candidate);
    return candidate;
  };
}

export function uuid(random: Random): string {
  const hex = random.hex(16);
  const variant = "89ab"[random.below(4)];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

function compactDate(date: Date | string): string {
  const text = typeof date === "string" ? date : date.toISOString();
  return text.slice(0, 4) + text.slice(5, 7) + text.slice(8, 10);
}
