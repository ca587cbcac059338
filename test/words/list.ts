/** `npm run words [-- PATH…]`: every text of the repository that is hard to read, a line each. */
import { faultsIn, textFiles } from './files.js';

const paths = process.argv.slice(2);
const files = textFiles().filter((file) => paths.length === 0 || paths.some((path) => file.startsWith(path)));
let count = 0;
for (const file of files)
  for (const { line, what, text } of faultsIn(file)) {
    count += 1;
    console.log(`${file}:${line}: ${what}: ${text.replaceAll(/\s+/g, ' ').slice(0, 300)}`);
  }
console.error(`${count} in ${files.length} files`);
