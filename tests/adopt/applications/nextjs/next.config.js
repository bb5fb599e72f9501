module.exports = {
  deploymentId: process.env.VERSION,
};
