// For tests only: seals records as a kiosk does, with WebCrypto's own HKDF and the page's X25519, so that what the
// page opens and what Python opens can be made on this side too. One function (RFC 9180, base mode).
async (keys, body, useOwn) => {
  const { own } = await import("/x25519.js");
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const ascii = (text) => new TextEncoder().encode(text);
  const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const [slot, publicKey, origin] = [bytes(keys.slot), bytes(keys.public_key), bytes(keys.origin)];
  const base = new Uint8Array(32).fill(9, 0, 1);

  let [enc, shared] = [];
  if (useOwn) {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    [enc, shared] = [own(secret, base), own(secret, publicKey)];
  } else {
    const pair = await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
    enc = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const theirs = await crypto.subtle.importKey("raw", publicKey, "X25519", false, []);
    shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, pair.privateKey, 256));
  }

  // RFC 9180: a labelled extract followed by one labelled expand is one HKDF.
  const labelled = (suite, label, data) => join(ascii("HPKE-v1"), suite, ascii(label), data);
  const hkdf = async (salt, material, info, length) => {
    const key = await crypto.subtle.importKey("raw", material, "HKDF", false, ["deriveBits"]);
    return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 8 * length));
  };
  const extract = async (material) => {
    const key = await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", key, material));
  };
  const kem = join(ascii("KEM"), [0, 0x20]);
  const hpke = join(ascii("HPKE"), [0, 0x20, 0, 1, 0, 1]);
  const none = new Uint8Array(0);
  const secret = await hkdf(none, labelled(kem, "eae_prk", shared), join([0, 32], labelled(kem, "shared_secret", join(enc, publicKey))), 32);
  const info = join(ascii("kioskwatch/result/v1"), slot);
  const context = join([0], await extract(labelled(hpke, "psk_id_hash", none)), await extract(labelled(hpke, "info_hash", info)));
  const material = labelled(hpke, "secret", none);
  const rawKey = await hkdf(secret, material, join([0, 16], labelled(hpke, "key", context)), 16);
  const iv = await hkdf(secret, material, join([0, 12], labelled(hpke, "base_nonce", context)), 12);

  const plain = new Uint8Array(192);
  const text = ascii(body);
  plain.set(join(origin, [text.length >> 8, text.length & 255], text));
  const key = await crypto.subtle.importKey("raw", rawKey, "AES-GCM", false, ["encrypt"]);
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain));
  return [...join(slot, enc, sealed)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
