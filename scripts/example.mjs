/** The set-up, then an example by name with the options given. */
import './setup.mjs';

// Its npm packages are there only now.
await import('./examples/run.mjs');
