export type Lane = 'interactive' | 'bulk';
