export const API_VERSION = "skynetes.io/v1alpha1";
