// What a request may say, from the legal values that GET /models told. Pure: values in, words out.

/** Tell what is wrong with a number: {message, nearest}, or null. An empty text is the model's default. */
export function numberFault(text, { minimum, maximum, step, whole = true }) {
  if (text === "") return null;
  const value = Number(text);
  if (!Number.isFinite(value)) return { message: "a number, please", nearest: null };
  const base = step ? minimum : 0;
  const stride = step ?? (whole ? 1 : 0);
  let nearest = Math.min(Math.max(value, minimum), maximum);
  if (stride) nearest = Math.min(base + Math.round((nearest - base) / stride) * stride, lastOf(minimum, maximum, stride, base));
  if (nearest === value) return null;
  return { message: ruleOf({ minimum, maximum, step, whole }), nearest };
}

/** Tell what is wrong with a seed. Seeds go up to 2^63-1, beyond what a Number holds, so they stay text. */
export function seedFault(text, maximum) {
  if (text === "") return null;
  if (!/^\d{1,19}$/.test(text) || BigInt(text) > BigInt(maximum)) return { message: `a whole number from 0 to ${maximum}`, nearest: null };
  return null;
}

/** Tell what is wrong with a width and a height together. */
export function areaFault(width, height, { max_area: maxArea, multiple }) {
  if (!width || !height || width * height <= maxArea) return null;
  return { message: `width times height: at most ${maxArea} pixels`, nearest: Math.floor(maxArea / width / multiple) * multiple };
}

const IMAGES = {
  "image/png": { name: "PNG", begins: /^\x89PNG\r\n\x1a\n/ },
  "image/jpeg": { name: "JPEG", begins: /^\xff\xd8\xff/ },
  "image/webp": { name: "WebP", begins: /^RIFF[^]{4}WEBP/ },
};

/** How many bytes of a file tell what it is. */
export const HEAD_BYTES = 16;

/** Name media types the way one says them. */
export const namesOf = (types) => types.map((type) => IMAGES[type]?.name ?? type).join(", ").replace(/, ([^,]*)$/, " or $1");

/** Tell what is wrong with an image file, from its first bytes (its name may lie) and its size, or null. */
export function fileFault(head, sizeBytes, { media_types: types, maximum_bytes: maximum }) {
  const text = String.fromCharCode(...head);
  if (!types.some((type) => IMAGES[type]?.begins.test(text))) return `not a ${namesOf(types)} image`;
  return sizeBytes > maximum ? `at most ${inBytes(maximum)}, this file has ${inBytes(sizeBytes)}` : null;
}

/** Tell what is wrong with the address of an image in S3. */
export function addressFault(text) {
  if (text === "" || /^s3:\/\/[^/]+\/.+$/.test(text)) return null;
  return { message: "an address such as s3://bucket/key", nearest: null };
}

/** Tell that an image has not the shape of the video, or "". */
export function stretchOf(width, height, videoWidth, videoHeight) {
  if (Math.abs((width * videoHeight) / (height * videoWidth) - 1) < 0.02) return "";
  return `${width} × ${height} pixels are stretched to the ${videoWidth} × ${videoHeight} of the video.`;
}

function lastOf(minimum, maximum, stride, base) {
  return base + Math.floor((maximum - base) / stride) * stride;
}

function ruleOf({ minimum, maximum, step, whole }) {
  if (step) return `in steps of ${step} from ${minimum} to ${maximum}`;
  return `${whole ? "a whole number" : "a number"} from ${minimum} to ${maximum}`;
}

/** Write a size of a file the way one says it; rounded up, so that one above a limit does not look equal to it. */
export function inBytes(bytes) {
  if (bytes < 1024 ** 2) return `${Math.ceil(bytes / 1024)} KiB`;
  return `${Math.ceil((bytes / 1024 ** 2) * 10) / 10} MiB`;
}

/** Write seconds the way one says them. */
export function inWords(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
