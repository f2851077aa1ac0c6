// A multipart body by hand: `FormData` would turn every line end of a prompt into CR LF, and another prompt would be sent.

/** Give body and headers of a form with these texts and one file. */
export function multipart(texts, name, file) {
  const boundary = `videojob-${[...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16)).join("-")}`;
  const head = (rest) => `--${boundary}\r\nContent-Disposition: form-data; name=${rest}\r\n\r\n`;
  const parts = Object.entries(texts).flatMap(([key, text]) => [head(`"${key}"`), String(text), "\r\n"]);
  const body = new Blob([...parts, head(`"${name}"; filename="image"`), file, `\r\n--${boundary}--\r\n`]);
  return { headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` }, body };
}
