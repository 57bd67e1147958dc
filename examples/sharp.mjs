// Cut the window that the service chooses, with sharp (npm install sharp):
//   node examples/sharp.mjs photo.jpg crop.webp http://127.0.0.1:8000
import { readFile } from "node:fs/promises";
import sharp from "sharp";

const [photo, crop, service] = process.argv.slice(2);
const body = await readFile(photo);
const answer = await fetch(`${service}/v1/crops?aspect=1:1`, { method: "POST", body });
if (!answer.ok) throw new Error((await answer.json()).error);
const { windows } = await answer.json();
await sharp(body).rotate().extract(windows[0].sharp).resize(400).toFile(crop);
