module.exports = {
  deploymentId: process.env.VERSION,
  // Both releases are built in one folder.
  distDir: `.next-${process.env.VERSION}${process.env.BASE_PATH.replace("/", "-")}`,
  basePath: process.env.BASE_PATH,
};
