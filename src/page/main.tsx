import { render } from 'preact';
import { Shell } from './shell.js';
import { refreshService, isReady, viewing } from './session.js';

const root = document.getElementById('page');
if (root !== null) render(<Shell />, root);
if (viewing === undefined) {
  void refreshService();
  setInterval(() => {
    if (isReady.value !== true && document.visibilityState === 'visible') void refreshService();
  }, 3000);
}
