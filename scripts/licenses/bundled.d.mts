import type { Plugin } from 'rolldown';

export const bundledLicenses: Plugin;
