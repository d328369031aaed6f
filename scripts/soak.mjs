/** The set-up, then the example server under load: `npm run soak -- --minutes 10`. */
import './setup.mjs';

// Its npm packages are there only now.
await import('./soak/run.mjs');
