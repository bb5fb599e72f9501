const HtmlWebpackPlugin = require('html-webpack-plugin');

module.exports = {
  mode: 'production',
  entry: './src/main.js',
  plugins: [new HtmlWebpackPlugin({ title: 'Shop', filename: '../../index.html' })],
};
