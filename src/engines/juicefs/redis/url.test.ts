import assert from "node:assert/strict";
import { test } from "node:test";
import { CairnError } from "../../../model/errors.ts";
import type { RedisUrl } from "./url.ts";
import { parseRedisUrl } from "./url.ts";

const plain: RedisUrl = {
  place: { kind: "server", address: { host: "localhost", port: 6379 } },
  user: undefined,
  password: undefined,
  database: 0,
  tls: undefined,
  readTimeoutMs: 30_000,
  location: "redis://localhost:6379/0",
};
const insecureNo = { insecure: false };

const cases: [string, Partial<RedisUrl>][] = [
  ["redis://localhost", {}],
  ["redis://", {}],
  ["localhost:6379/0", {}],
  ["redis://localhost:6379/", {}],
  ["REDIS://localhost", {}],
  ["redis://localhost/3", { database: 3, location: "redis://localhost:6379/3" }],
  ["redis://localhost/3?db=4", { database: 4, location: "redis://localhost:6379/4" }],
  [
    "redis://:p%40s%2Fs@h:1/1",
    {
      place: { kind: "server", address: { host: "h", port: 1 } },
      password: "p@s/s",
      database: 1,
      location: "redis://h:1/1",
    },
  ],
  ["redis://user:a:b@localhost", { user: "user", password: "a:b" }],
  ["redis://user:p@ss@localhost", { user: "user", password: "p@ss" }],
  ["redis://user@localhost", { user: "user" }],
  [
    "redis://[::1]:7000/2",
    { place: { kind: "server", address: { host: "::1", port: 7000 } }, database: 2, location: "redis://[::1]:7000/2" },
  ],
  [
    "redis://localhost?read-timeout=5&route-read=replica&client-cache=true&max-retry-backoff=3s",
    { readTimeoutMs: 5000 },
  ],
  ["redis://localhost?read_timeout=1m1.5s", { readTimeoutMs: 61_500 }],
  ["rediss://localhost", { tls: insecureNo, location: "rediss://localhost:6379/0" }],
  ["rediss://localhost?skip_verify=true", { tls: insecureNo, location: "rediss://localhost:6379/0" }],
  ["rediss://localhost?insecure-skip-verify=false", { tls: { insecure: true }, location: "rediss://localhost:6379/0" }],
  [
    "rediss://localhost?tls-ca-cert-file=/a&tls-cert-file=/b&tls-key-file=/c&tls-server-name=n",
    {
      tls: { caFile: "/a", certFile: "/b", keyFile: "/c", serverName: "n", insecure: false },
      location: "rediss://localhost:6379/0",
    },
  ],
  [
    "unix:///run/redis.sock?db=5",
    {
      place: { kind: "server", address: { path: "/run/redis.sock" } },
      database: 5,
      location: "unix:///run/redis.sock?db=5",
    },
  ],
  [
    "unix://user:secret@/run/r.sock",
    {
      place: { kind: "server", address: { path: "/run/r.sock" } },
      user: "user",
      password: "secret",
      location: "unix:///run/r.sock?db=0",
    },
  ],
  [
    "redis://:pw@mymaster,h1,h2:26380,h3/1",
    {
      // JuiceFS takes the port of the last sentinel for all that have none.
      place: {
        kind: "sentinel",
        masterName: "mymaster",
        sentinels: [
          { host: "h1", port: 26379 },
          { host: "h2", port: 26380 },
          { host: "h3", port: 26379 },
        ],
      },
      password: "pw",
      database: 1,
      location: "redis://mymaster,h1:26379,h2:26380,h3:26379/1",
    },
  ],
  [
    "redis://mymaster,h1,h2:5000",
    {
      place: {
        kind: "sentinel",
        masterName: "mymaster",
        sentinels: [
          { host: "h1", port: 5000 },
          { host: "h2", port: 5000 },
        ],
      },
      location: "redis://mymaster,h1:5000,h2:5000/0",
    },
  ],
  [
    "redis://h1:7001,h2:7002/4",
    {
      place: {
        kind: "cluster",
        members: [
          { host: "h1", port: 7001 },
          { host: "h2", port: 7002 },
        ],
      },
      database: 4,
      location: "redis://h1:7001,h2:7002/4",
    },
  ],
];

for (const [url, expected] of cases) {
  test(`${url} is taken apart as JuiceFS does`, () => {
    assert.deepEqual(parseRedisUrl(url), { ...plain, ...expected });
  });
}

const refused: [string, RegExp][] = [
  ["redis://localhost/1?tabel=x", /unknown option "tabel"/],
  ["redis://localhost/x", /"x" is no database number/],
  ["redis://localhost/1/2", /more parts/],
  ["redis://localhost:70000", /no port/],
  ["redis://:%zz@localhost", /its password has a %/],
  ["redis://a:b:c", /no host with a port/],
  ["unix://host/path", /no host/],
  ["unix://", /names no socket/],
  ["http://localhost", /begins with http/],
];

for (const [url, message] of refused) {
  test(`${url} is refused, and no secret told`, () => {
    assert.throws(
      () => parseRedisUrl(url.replace("localhost", "user:topsecret@localhost")),
      (error) =>
        error instanceof CairnError &&
        error.code === "meta-url-invalid" &&
        message.test(error.message) &&
        !JSON.stringify(error).includes("topsecret") &&
        !error.message.includes("topsecret"),
    );
  });
}

for (const password of ["top/secret", "top?secret", "top#secret", "t@p/secret", "123/secret", "123#secret"]) {
  test(`a password like ${password} is refused, and no part of it told`, () => {
    for (const prefix of ["redis://", "rediss://", ""]) {
      assert.throws(
        () => parseRedisUrl(`${prefix}:${password}@localhost:6379/1`),
        (error) =>
          error instanceof CairnError &&
          /must be percent-encoded/.test(error.message) &&
          !/top|secret|t@p|123/.test(`${error.stack} ${String(error.cause)}`.replace(/^ +at .*$/gm, "")),
      );
    }
  });
}

test("an @ behind the host is no login", () => {
  assert.equal(parseRedisUrl("unix:///run/a@b.sock?db=1").location, "unix:///run/a@b.sock?db=1");
  assert.equal(parseRedisUrl("rediss://:pw@localhost/1?tls-cert-file=/a@b.pem").database, 1);
});
