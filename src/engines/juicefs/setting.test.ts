import assert from "node:assert/strict";
import { test } from "node:test";
import { batchFromRows } from "../../model/batch.ts";
import { CairnError } from "../../model/errors.ts";
import { juicefs, juicefsTable, settingType } from "../../model/juicefs.ts";
import { formatSetting, parseSetting, settingFieldsOf, settingRows, settingText } from "./setting.ts";

/** As `juicefs format` v1.4.1 wrote it. */
const written = `{
"Name": "testvol",
"UUID": "547a2fd6-7fb7-4392-afc5-92ad32c6b918",
"Storage": "file",
"Tiers": {
"0": {
"ID": 0,
"StorageClass": "",
"Tag": ""
}
},
"Bucket": "/var/jfs/",
"BlockSize": 4096,
"Compression": "none",
"EncryptAlgo": "aes256gcm-rsa",
"TrashDays": 1,
"MetaVersion": 1,
"MinClientVersion": "1.1.0-A",
"DirStats": true,
"EnableACL": false
}`;

test("a setting comes back letter for letter", () => {
  assert.equal(formatSetting(parseSetting(written), "1.4"), written);
});

test("a line's clients always write what they always write, and nothing more", () => {
  const fields = parseSetting('{"Name":"v","UUID":"u","Storage":"file","Bucket":"/b","BlockSize":4096}');
  assert.equal(
    formatSetting(fields, "1.2"),
    '{\n"Name": "v",\n"UUID": "u",\n"Storage": "file",\n"Bucket": "/b",\n"BlockSize": 4096,\n"TrashDays": 0,\n"EnableACL": false\n}',
  );
  assert.match(formatSetting(fields, "1.4"), /"Tiers": null,\n"Bucket"/);
});

test("a known field with its zero value is as good as absent; an unknown one stays as it is", () => {
  const fields = parseSetting(
    '{"Name":"","TrashDays":0,"EnableACL":false,"Tiers":{},"Capacity":null,"Later":0,"Other": {"b" : 1,\n"a":12345678901234567890} }',
  );
  assert.deepEqual(fields, [
    { name: "Later", type: settingType.json, text: "0" },
    { name: "Other", type: settingType.json, text: '{"b" : 1,\n"a":12345678901234567890}' },
  ]);
  assert.deepEqual(parseSetting(formatSetting(fields, "1.4")), fields);
});

test("numbers are exact, and sorted keys make the tiers canonical", () => {
  const fields = parseSetting('{"Capacity":18446744073709551615,"Tiers":{"1":{"Tag":"t","ID":1},"0":{"ID":0}}}');
  assert.equal(settingText(fields, "Capacity"), "18446744073709551615");
  assert.equal(settingText(fields, "Tiers"), '{"0":{"ID":0},"1":{"ID":1,"Tag":"t"}}');
});

test("what cannot be read is refused by name", () => {
  for (const [json, message] of [
    ["", /not JSON/],
    ["[]", /not a JSON object/],
    ["null", /not a JSON object/],
    ['{"Name":"a","Name":"b"}', /"Name" twice/],
    ['{"BlockSize":"4096"}', /BlockSize is not a whole number/],
    ['{"BlockSize":1.5}', /BlockSize is not a whole number/],
    ['{"Name":1}', /Name is not a string/],
    ['{"DirStats":1}', /DirStats is neither/],
    ['{"Tiers":[]}', /Tiers is not an object/],
  ] as const) {
    assert.throws(
      () => parseSetting(json),
      (error: unknown) =>
        error instanceof CairnError && error.code === "setting-invalid" && message.test(error.message),
      json,
    );
  }
});

test("an error about a setting repeats nothing of it", () => {
  const valid = '{"SecretKey":"hunter2","Name":"v"}';
  for (let at = 0; at < valid.length; at++) {
    const cutOff = valid.slice(0, at);
    for (const json of [cutOff, cutOff + valid.slice(at + 1), `${cutOff}hunter2${valid.slice(at)}`]) {
      try {
        parseSetting(json);
      } catch (error) {
        assert.ok(error instanceof CairnError);
        assert.equal(error.cause, undefined);
        assert.ok(!error.message.includes("hunt"), error.message);
      }
    }
  }
});

test("records and fields are the same, sorted by name", () => {
  const fields = parseSetting('{"Zoo":[1],"Name":"ü","BlockSize":4096,"DirStats":true}');
  const rows = settingRows(fields);
  assert.deepEqual(
    rows.map(([name]) => String(name)),
    ["BlockSize", "DirStats", "Name", "Zoo"],
  );
  const batch = batchFromRows(juicefs.tables[juicefsTable.setting], juicefsTable.setting, rows);
  assert.deepEqual(new Set(settingFieldsOf(batch)), new Set(fields));
});
